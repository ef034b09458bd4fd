"""Freezes and thaws demo hosts, for the page: they belong to who typed `./inv up` on this machine, so that it is his tasks that
do it, as they do it for him."""

from __future__ import annotations

import subprocess
from pathlib import Path

from duckconf.errors import NotNow

DEADLINE = 60.0
TASKS = {True: "stop-node", False: "start-node"}


class DemoNodes:
    """Those of the checkout in `root`."""

    def __init__(self, root: Path) -> None:
        self._wrapper = root / "inv"

    def freeze(self, node: str, *, frozen: bool) -> bool:
        """Whether that was a change. Raises NotNow with the words of the task."""
        argv = (str(self._wrapper), TASKS[frozen], "--node", node)
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotNow(f"./inv {TASKS[frozen]} {node} could not be run: {error}") from None
        if done.returncode != 0:
            words = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise NotNow(words.removeprefix("error: "))
        return bool(done.stdout.strip())
