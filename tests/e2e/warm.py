"""`./inv` without the start of an interpreter, which costs more than most tasks do: each call is a process of its own, forked
from one that has imported everything and done nothing.

It is what `./inv` is behind its shell part: same words, environment, exit code and output. What a test says of the start itself,
of a terminal or of signals it sees on `./inv` itself.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from duckconf.cli import __path__ as TASKS

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "duckconf.cli.terminal.program"
# Runs inside Ansible.
ELSEWHERE = "ansible_callback"
# Larger than any environment.
LARGEST = 1 << 20
MOST_FILES = 4096


def inv(words: Sequence[str], environ: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` has it of `./inv WORDS`, with nothing to read on its input."""
    if words[:1] == ("doctor",):
        # Whose node the shell part makes an option.
        argv = [str(ROOT / "inv"), *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=timeout, check=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    pipes = [os.pipe() for _ in ("out", "err", "told")]
    theirs = [nothing, *(written for _, written in pipes)]
    try:
        socket.send_fds(_parent(), [json.dumps([words, dict(environ), os.getcwd()]).encode()], theirs)
    finally:
        for file in theirs:
            os.close(file)
    out, err, told = _read([read for read, _ in pipes], words, timeout)
    pid_and_code = told.split()
    assert len(pid_and_code) == 2, f"the parent of warm calls has ended: {told!r}"
    return subprocess.CompletedProcess(["./inv", *words], int(pid_and_code[1]), out.decode(), err.decode())


def _read(files: Sequence[int], words: Sequence[str], timeout: float) -> list[bytes]:
    """All that comes from each of them; the last one begins with the process, which is killed after `timeout` seconds."""
    end, found = time.monotonic() + timeout, dict.fromkeys(files, b"")
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        try:
            while selector.get_map():
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready and time.monotonic() >= end:
                    for pid in found[files[-1]].split()[:1]:
                        with suppress(ProcessLookupError):
                            os.kill(int(pid), signal.SIGKILL)
                    raise subprocess.TimeoutExpired(["./inv", *words], timeout, found[files[0]], found[files[1]])
                for key, _ in ready:
                    if part := os.read(key.fd, 1 << 16):
                        found[key.fd] += part
                    else:
                        selector.unregister(key.fd)
        finally:
            for file in files:
                os.close(file)
    return [found[file] for file in files]


@functools.cache
def _parent() -> socket.socket:
    """Where calls are sent to; whoever listens there ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    argv = [sys.executable, "-m", "tests.e2e.warm", str(its.fileno())]
    subprocess.Popen(argv, cwd=ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    its.close()
    return ours


def _serve(control: socket.socket) -> list[str] | None:
    """Forks for each call and says how each has ended. Returns the words of the call in its process, None when it is over."""
    running: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == control.fileno():
                content, files, _, _ = socket.recv_fds(control, LARGEST, 4)
                if not content:
                    return None
                if (pid := os.fork()) == 0:
                    words, environ, typed_in = json.loads(content)
                    _become({**environ, "DUCKCONF_TYPED_IN": typed_in}, files)
                    return [str(word) for word in words]
                for file in files[:-1]:
                    os.close(file)
                _tell(files[-1], pid)
                running[handle := os.pidfd_open(pid)] = (pid, files[-1])
                poll.register(handle, select.POLLIN)
            else:
                pid, told = running.pop(ready)
                poll.unregister(ready)
                os.close(ready)
                _tell(told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(told)


def _tell(file: int, number: int) -> None:
    # Nobody waits any more for what took too long.
    with suppress(BrokenPipeError):
        os.write(file, f"{number}\n".encode())


def _become(environ: Mapping[str, str], files: Sequence[int]) -> None:
    """A process as the shell part of `./inv` makes it."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, MOST_FILES)
    # What they were made for cannot tell what these are: whether one can seek, say.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 (as long as the process)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environ)
    os.environ["PATH"] = f"{ROOT / '.venv' / 'bin'}:{environ['PATH']}"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def main(control: int) -> None:
    for module in pkgutil.walk_packages(TASKS, "duckconf.cli."):
        if ELSEWHERE not in module.name:
            importlib.import_module(module.name)
    program = importlib.import_module(PROGRAM)
    importlib.import_module("tasks")
    gc.collect()
    gc.freeze()
    words = _serve(socket.socket(fileno=control))
    if words is not None:
        sys.argv = [str(program.__file__), *words]
        program.main()


if __name__ == "__main__":
    main(int(sys.argv[1]))
