"""Watches for a value in the command lines of all processes of this machine, those in its containers among them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")


def telltale() -> str:
    """A value that nothing else on this machine has in its arguments: a test beside this one may search for its own."""
    return f"hunter2-{uuid.uuid4().hex}"


@contextmanager
def in_no_command_line(value: str) -> Iterator[None]:
    """No process that runs meanwhile has the value in its arguments. Looked at as often as the machine can."""
    ended, found, looks = threading.Event(), set[str](), 0

    def watch() -> None:
        nonlocal looks
        while not ended.is_set():
            for folder in PROC.iterdir():
                if folder.name.isdigit():
                    with suppress(OSError):
                        words = (folder / "cmdline").read_bytes()
                        if value.encode() in words:
                            found.add(words.replace(b"\0", b" ").decode(errors="replace"))
            looks += 1

    watcher = threading.Thread(target=watch, name="watched")
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert looks
    assert not found, f"the value is in the arguments of {sorted(found)}"
