"""Files that survive: a write is done when it is on disk, and one process at a time owns a folder.

Writers that arrive together share one flush (group commit), so that the cost per write stays flat under load.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from duckconf.errors import SetupError

# Both names change places in one step, so that nothing that lay under the name is ever lost unseen.
EXCHANGE = 2
AT_FDCWD = -100


def whole_lines(path: Path) -> list[str]:
    """The lines of a list that was written with one name in each; none without the file.

    A last line without its newline was cut: it may be the beginning of another name, and does not count.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines(keepends=True) if line.endswith("\n") and line.strip()]


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` as a whole; when this returns, a power cut cannot take it back. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        _write(temporary, content, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def exchange_durably(path: Path, content: bytes, aside: Path) -> tuple[bool, os.stat_result]:
    """As `write_durably`, but what lay at `path` until then lies at `aside` afterwards; false when nothing lay there.
    The other value is the new file as it was written, before anyone else could touch it.

    Someone who replaced or opened the file meanwhile has not written in vain: their version is what lies aside.
    """
    try:
        _write(aside, content, 0o600)
        written = aside.stat()
        exchanged = _exchange(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    _sync_folder(path.parent)
    return exchanged, written


def _exchange(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None and rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    number = ctypes.get_errno() if rename is not None else errno.ENOSYS
    if number == errno.ENOENT:
        os.replace(one, other)
        return False
    if number not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(number, os.strerror(number), str(other))
    # A system or file system without it: two steps, and what is put there between them is lost.
    kept = one.with_name(f"{one.name}.kept")
    os.link(other, kept)
    os.replace(one, other)
    os.replace(kept, one)
    return True


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
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

    def __init__(self, path: Path, owner: str, remedy: str = "stop that one first: ./inv down") -> None:
        """Takes `path` at once; raises SetupError naming the holder when another process has it."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise SetupError(f"{path.parent} is in use by {holder}", remedy) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{owner}, process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)
