"""Clients of many hosts, ours and others', measured in turns so that noise meets them all.

Those that are libraries are processes that keep their connections (`clients/`); Ansible and `pyinfra exec` are run anew
each time, as a person runs them. What is not in requirements.txt comes from benchmarks/requirements.txt into a venv of
the bench's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from benchmarks.measure import FOLDER
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say, step
from duckconf.errors import SetupError

LOCK = ROOT / "benchmarks" / "requirements.txt"
VENV = FOLDER / "venv"
PIP_SECONDS = 300
RUN_SECONDS = 120
FORKS = 50


@dataclass
class Taken:
    """What one client took: seconds of wall time and of CPU for each look."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Client:
    """A process from `benchmarks/clients` that looks when told to."""

    def __init__(self, python: Path, module: str, *arguments: str) -> None:
        self._name = module
        argv = [str(python), "-m", f"benchmarks.clients.{module}", *arguments]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, act: str) -> tuple[float, float]:
        """Do it; seconds of wall time and CPU. Raises SetupError when the client has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{act}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SetupError(f"the client {self._name} has ended")
        took = json.loads(answer)
        return took["wall"], took["cpu"]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate()


def rivals_python() -> Path | None:
    """Python with the packages of the bench's lock file, installed on first use; None where that cannot be."""
    python, made_from = VENV / "bin" / "python", VENV / "made-from"
    if made_from.exists() and made_from.read_bytes() == LOCK.read_bytes():
        return python
    argv = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", str(LOCK)]
    try:
        with step("installing what is measured beside ours"):
            venv.create(VENV, clear=True, with_pip=True)
            subprocess.run(argv, check=True, capture_output=True, timeout=PIP_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or str(error)
        say(f"  not here: {words.splitlines()[-1]}")
        return None
    made_from.write_bytes(LOCK.read_bytes())
    return python


def ansible(folder: Path, command: str) -> tuple[list[str], Mapping[str, str]]:
    """`ansible -m raw`: its command line and environment."""
    argv = [str(Path(sys.executable).with_name("ansible")), "-i", str(folder / "hosts.ini"), "nodes", "-f", str(FORKS)]
    options = f"-o UserKnownHostsFile={folder / 'known_hosts'}"
    return [*argv, "-m", "raw", "-a", command], {
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_SSH_COMMON_ARGS": options,
    }


def pyinfra_exec(python: Path, folder: Path, hosts: Sequence[tuple[str, int]], command: str) -> list[str]:
    """`pyinfra exec`, which connects anew each time."""
    login = {"ssh_user": "root", "ssh_key": str(folder / "id_ed25519"), "ssh_known_hosts_file": str(folder / "known_hosts")}
    rows = [(f"{host}-{port}", {"ssh_hostname": host, "ssh_port": port, **login}) for host, port in hosts]
    (folder / "pyinfra_hosts.py").write_text(f"nodes = {rows!r}\n")
    return [str(python.with_name("pyinfra")), "-y", str(folder / "pyinfra_hosts.py"), "exec", "--", *command.split(" ")]


def run_anew(
    argv: Sequence[str], environ: Mapping[str, str], folder: Path, rows: int, mark: str = '"ExitCode"'
) -> tuple[float, float]:
    """Wall time and CPU of the process and its children; raises SetupError when it prints the mark of a row less often."""

    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if (done.stdout + done.stderr).count(mark) < rows:
        raise SetupError(f"{argv[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
