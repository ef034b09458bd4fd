"""Processes that outlive a task: started detached, found again by pid and birth, ended as a whole.

A pid alone is not trusted: after a reboot it may belong to someone else.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from duckconf.cli.cluster.modes import AGENTS, PUSH, RECONCILE
from duckconf.errors import SetupError
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import write_durably

GRACE = 15.0


@dataclass(frozen=True)
class Service:
    """One process of a cluster; its pid file and log lie in the cluster's state folder."""

    name: str
    state: Path

    @property
    def log(self) -> Path:
        return self.state / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.state / f"{self.name}.pid"

    def process(self) -> psutil.Process | None:
        """The running process, None when there is none."""
        try:
            kept = json.loads(self._pid_file.read_bytes())
            process = psutil.Process(kept["pid"])
            alive = process.create_time() == kept["born"] and process.status() != psutil.STATUS_ZOMBIE
            return process if alive else None
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return None

    def start(self, argv: Sequence[str], environ: Mapping[str, str], folder: Path) -> psutil.Process:
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environ),
                cwd=folder,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        write_durably(self._pid_file, json.dumps({"pid": child.pid, "born": process.create_time()}).encode())
        return process

    def await_ready(self, process: psutil.Process, ready: Callable[[], bool], seconds: float) -> None:
        """Return when `ready()`; raises SetupError with the end of the log when the process ends first."""
        end = time.monotonic() + seconds
        while not ready():
            try:
                process.wait(timeout=0.05)
            except psutil.TimeoutExpired:
                if time.monotonic() < end:
                    continue
                raise SetupError(f"{self.name} is not ready after {seconds:g} s", f"its log: {self.log}") from None
            raise SetupError(f"{self.name} ended at once: {self.last_words()}", f"its log: {self.log}")

    def stop(self) -> bool:
        """End it, kindly first; says whether there was one."""
        process = self.process()
        if process is not None:
            process.terminate()
            if not _ended(process, GRACE):
                process.kill()
                _ended(process, GRACE)
        self._pid_file.unlink(missing_ok=True)
        return process is not None

    def last_words(self) -> str:
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except FileNotFoundError:
            lines = []
        return lines[-1] if lines else "without a word"


def _ended(process: psutil.Process, seconds: float) -> bool:
    """Wait until it is gone. One that its parent has not collected yet is gone too: it runs no more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            process.wait(timeout=0.05)
        except psutil.TimeoutExpired:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                continue
        except psutil.NoSuchProcess:
            pass
        return True
    return False


def api_service(project: Project) -> Service:
    return Service("api", project.state)


def loop_service(project: Project) -> Service:
    return Service("reconciler", project.state)


def services(project: Project, mode: str) -> list[Service]:
    """What runs on this machine in this mode, beside the hosts."""
    return {PUSH: [api_service(project)], RECONCILE: [api_service(project), loop_service(project)], AGENTS: []}[mode]
