"""A task that runs while a test goes on: what it has printed so far, and how it ends."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import ROOT, Live


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(errors="replace")

    def ends_at(self, number: signal.Signals) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def running(live: Live, folder: Path, *words: str) -> Iterator[Running]:
    """Nothing of it is left afterwards."""
    folder.mkdir()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen([str(ROOT / "inv"), *words], env=live.environ, stdout=out, stderr=err)
    try:
        yield Running(process, folder)
    finally:
        process.kill()
        process.wait(timeout=20)
