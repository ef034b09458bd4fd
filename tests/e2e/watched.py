"""Watches for a value in the command lines of all processes of this machine, those in its containers among them."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.waiting import until

PROC = Path("/proc")
# The kernel's news of processes: linux/netlink.h, linux/connector.h, linux/cn_proc.h.
NETLINK_CONNECTOR = 11
SO_RCVBUFFORCE = 33
PROCESSES = 1
LISTEN = struct.pack("=IHHIIIIIIHHI", 40, 3, 0, 0, 0, PROCESSES, 1, 0, 0, 4, 0, 1)
EVENT = struct.Struct("=36xIIQII")
BEGUN = 2
# Enough for the news of some ten thousand processes.
KEPT = 8 << 20


def telltale() -> str:
    """A value that nothing else on this machine has in its arguments: a test beside this one may search for its own."""
    return f"hunter2-{uuid.uuid4().hex}"


class CommandLines(threading.Thread):
    """Every command line that was seen on this machine while it ran. The kernel tells of each program that is begun; where it
    tells only root and we are not, they are looked for, as often as the machine can."""

    def __init__(self) -> None:
        super().__init__(name="watched")
        self.seen: set[str] = set()
        self._over = threading.Event()
        self._news = None if os.geteuid() else socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_CONNECTOR)
        if self._news is not None:
            self._news.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, KEPT)
            self._news.bind((0, PROCESSES))
            self._news.settimeout(0.1)
            self._news.send(LISTEN)

    def run(self) -> None:
        self._look()
        while not self._over.is_set():
            if self._news is None:
                self._look()
                continue
            # Raises when news were lost: then `seen` is not all.
            with suppress(TimeoutError):
                what, _, _, _, process = EVENT.unpack_from(self._news.recv(4096).ljust(EVENT.size))
                if what == BEGUN:
                    self._read(PROC / str(process))

    def _look(self) -> None:
        for folder in PROC.iterdir():
            if folder.name.isdigit():
                self._read(folder)

    def _read(self, process: Path) -> None:
        # One that has ended already is seen by nobody.
        with suppress(OSError):
            self.seen.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    def end(self) -> None:
        """Fails when it had not seen what ran until now."""
        probe = telltale()
        with subprocess.Popen(["sh", "-c", "sleep 20; :", probe]) as last:
            try:
                until("what was begun last is seen", lambda: any(probe in line for line in self.seen.copy()), 20)
            finally:
                last.kill()
                self._over.set()
                self.join()
                if self._news is not None:
                    self._news.close()


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Those that are seen while this is open; all of them are there when it is closed."""
    watcher = CommandLines()
    watcher.start()
    try:
        yield watcher.seen
    finally:
        watcher.end()


@contextmanager
def in_no_command_line(value: str) -> Iterator[None]:
    """No process that runs meanwhile has the value in its arguments."""
    with command_lines() as lines:
        yield
    found = sorted(line for line in lines if value in line)
    assert not found, f"the value is in the arguments of {found}"
