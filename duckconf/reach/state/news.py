"""That something has changed, for threads that wait for it: a number that grows, and the kernel's word when another process has
written a file of the state folder.

Where the kernel has no such word (inotify), a waiting thread looks again by itself after a short while.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import threading
from collections.abc import Callable, Collection
from pathlib import Path

# Seconds after which a waiting thread looks all the same: where it is told of changes, and where it is not.
TOLD = 1.0
NOT_TOLD = 0.05
# Of inotify(7).
MODIFIED, MOVED_HERE, DELETED = 0x2, 0x80, 0x200
ENTRY = struct.Struct("iIII")
LARGEST_READ = 1 << 16

log = logging.getLogger(__name__)


class News:
    """For many threads."""

    def __init__(self, again: float = TOLD) -> None:
        """`again` is after how many seconds one who waits is to look by himself."""
        self.again = again
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def tell(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, since: int, seconds: float) -> int:
        """The number, as soon as it is another one than `since`, or after `seconds`, which is cut to `again`."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != since, min(seconds, self.again))
            return self._count


def of_folder(folder: Path, names: Collection[str]) -> News:
    """Told from now on whenever one of these files of the folder was written, by a thread that lives as long as the process."""
    try:
        descriptor = _watch(folder)
    except (OSError, AttributeError) as error:
        log.warning("changes in %s are looked for every %g s: %s", folder, NOT_TOLD, error)
        return News(NOT_TOLD)
    news = News()
    wanted = {os.fsencode(name) for name in names}
    threading.Thread(target=_follow, args=(descriptor, wanted, news.tell), name="folder-news", daemon=True).start()
    return news


def _watch(folder: Path) -> int:
    """Raises OSError, or AttributeError where the system's library has no inotify."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or library.inotify_add_watch(descriptor, os.fsencode(folder), MODIFIED | MOVED_HERE | DELETED) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(descriptor)


def _follow(descriptor: int, wanted: Collection[bytes], tell: Callable[[], None]) -> None:
    while True:
        content = os.read(descriptor, LARGEST_READ)
        if any(name in wanted for name in _names(content)):
            tell()


def _names(content: bytes) -> list[bytes]:
    """The files that these entries are about; one that overflowed is about any."""
    names, place = [], 0
    while place < len(content):
        *_, length = ENTRY.unpack_from(content, place)
        place += ENTRY.size
        names.append(content[place : place + length].rstrip(b"\0"))
        place += length
    return names
