"""Files that survive: a write is done when it is on disk, and one process at a time owns a folder.

Writers that arrive together share one flush (group commit), so that the cost per write stays flat under load.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from duckconf.errors import SetupError


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` as a whole; when this returns, a power cut cannot take it back. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class GroupCommit:
    """Saves one file for many threads: whoever comes while a flush is under way is covered by the next one."""

    def __init__(self, path: Path, content: Callable[[], bytes]) -> None:
        """`content` is called inside `save` and must be a consistent snapshot that holds all earlier changes."""
        self._path = path
        self._content = content
        self._counter = threading.Lock()
        self._flushing = threading.Lock()
        self._asked = 0
        self._flushed = 0

    def save(self) -> None:
        """Return when everything changed before this call is on disk. Raises OSError, with the old file intact."""
        with self._counter:
            self._asked += 1
            mine = self._asked
        with self._flushing:
            if self._flushed >= mine:
                return
            with self._counter:
                covers = self._asked
            write_durably(self._path, self._content())
            self._flushed = covers


class FolderLock:
    """Held by the one process that may write a state folder; the kernel gives it back when the process dies."""

    def __init__(self, path: Path, owner: str) -> None:
        """Takes `path` at once; raises SetupError naming the holder when another process has it."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise SetupError(f"{path.parent} is in use by {holder}", "stop that one first: ./inv down") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{owner}, process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)
