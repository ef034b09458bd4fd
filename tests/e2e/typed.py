"""A task that runs while a test goes on: what it has printed so far, and how it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import ROOT, Live


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    folder: Path
    keyboard: int = -1
    """The other side of its terminal, where it has one."""

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(errors="replace")

    def types(self, text: bytes) -> None:
        """Into its terminal."""
        os.write(self.keyboard, text)

    def ends_at(self, number: signal.Signals) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


def _hear_signals(terminal: int = -1) -> None:
    """As a task that a person types does: tests that were started in the background ignore them, and so would the task."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if terminal >= 0:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@contextmanager
def running(live: Live, folder: Path, *words: str) -> Iterator[Running]:
    """Nothing of it is left afterwards."""
    folder.mkdir()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [str(ROOT / "inv"), *words], env=live.environ, stdout=out, stderr=err, preexec_fn=_hear_signals
        )
    try:
        yield Running(process, folder)
    finally:
        process.kill()
        process.wait(timeout=20)


@contextmanager
def at_terminal(
    live: Live, folder: Path, columns: int, rows: int, *words: str, program: Sequence[str] = (str(ROOT / "inv"),)
) -> Iterator[Running]:
    """As `running`, with a terminal of its own; what it shows is `out`."""
    folder.mkdir()
    (folder / "err").touch()
    ours, its = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [*program, *words], env=live.environ, stdin=its, stdout=its, stderr=its, start_new_session=True,
        preexec_fn=lambda: _hear_signals(its),
    )  # fmt: skip

    def keep() -> None:
        with (folder / "out").open("wb", buffering=0) as out, suppress(OSError):
            while data := os.read(ours, 65536):
                out.write(data)

    os.close(its)
    (folder / "out").touch()
    threading.Thread(target=keep, daemon=True).start()
    try:
        yield Running(process, folder, ours)
    finally:
        process.kill()
        process.wait(timeout=20)
        os.close(ours)


def resize(keyboard: int, columns: int, rows: int) -> None:
    """Of a terminal; who has it is told by the kernel."""
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
