"""One attempt of a check, from the node: a command in the container by `docker exec`, or HTTP or TCP to one of its ports.

What it keeps of an answer is bounded. It also runs on nodes, sent there by the loop, and imports little for that.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import IO, NamedTuple, Optional, cast

from duckconf.healthcheck import Check

CHUNK = 4096
KEPT = 1024
# The first line of an HTTP answer: any status from 200 to 399 is well.
STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
# Words of the engines and of the docker-wrapper about themselves: they say nothing about the app.
NO_VERDICT = re.compile(
    r"(Error: |Error response from daemon: )?("
    r"cannot connect to (podman|the docker daemon)|docker-wrapper:|sudo:|can only create exec sessions|no such container|"
    r"no container with|container \S+ is not running|container state improper)",
    re.IGNORECASE,
)
ENGINE_FAILED = 125
# All processes of an attempt have this variable, with the container as its value.
MARK = "DUCKCONF_CHECK"
END_WITHIN = 10.0
# With nothing but what every shell has: an image may have no more.
END = """\
for process in /proc/[0-9]*; do
  while read -r word || [ -n "$word" ]; do
    case $word in *{mark}*) kill -9 "${{process#/proc/}}" ;; esac
  done <"$process/environ"
done 2>/dev/null
exit 0
"""
SHELLS = (("/bin/sh", "-c"), ("/bin/busybox", "sh", "-c"))


class Outcome(NamedTuple):
    """`passed` is None when the attempt says nothing about the app: its engine did not answer, or it is not running."""

    passed: Optional[bool]
    words: str


def run_command(container: str, command: Sequence[str]) -> Outcome:
    """Returns when the command has ended, which may be never: the engines leave it alone when their client is killed, and so does
    whoever does not call `end_command`."""
    argv = ["docker", "exec", f"--env={MARK}={container}", container, *command]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with child:
        said, output = b"", cast(IO[bytes], child.stdout).fileno()
        while data := os.read(output, CHUNK):
            said = (said + data)[-KEPT:]
        code = child.wait()
    words = last_line(said.decode("utf-8", "replace"))
    if code and (code == ENGINE_FAILED or NO_VERDICT.match(words)):
        return Outcome(None, words)
    return Outcome(code == 0, f"exit code {code}: {words}" if code and words else f"exit code {code}" if code else words)


def end_command(container: str) -> None:
    """Kill what an attempt has begun in the container and not ended. Where the image has no shell, nothing can be done."""
    for shell in SHELLS:
        argv = ["docker", "exec", container, *shell, END.format(mark=f"{MARK}={container}")]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=END_WITHIN, check=False)
        except (OSError, subprocess.SubprocessError):
            return
        if done.returncode == 0:
            return


def reach(check: Check, addresses: Sequence[tuple[str, int]]) -> Outcome:
    """HTTP or TCP to the first of these addresses that answers, within the check's timeout for all of them."""
    if not addresses:
        return Outcome(False, f"the node does not reach port {check.port} of the container; publish it, or use a command (test)")
    end = time.monotonic() + check.timeout
    outcome = Outcome(False, "")
    for number, (host, port) in enumerate(addresses):
        share = (end - time.monotonic()) / (len(addresses) - number)
        try:
            with socket.create_connection((host, port), max(0.01, share)) as connection:
                return _http(connection, check.path, host, port, end) if check.path else Outcome(True, f"{host}:{port} accepts")
        except OSError as error:
            what = f"GET http://{host}:{port}{check.path}" if check.path else f"{host}:{port}"
            outcome = Outcome(False, f"{what}: {_why(error, check)}")
    return outcome


def _http(connection: socket.socket, path: str, host: str, port: int, end: float) -> Outcome:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: duckconf\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    connection.settimeout(max(0.01, end - time.monotonic()))
    connection.sendall(request.encode("ascii"))
    answer = b""
    while b"\n" not in answer and len(answer) < KEPT:
        connection.settimeout(max(0.01, end - time.monotonic()))
        data = connection.recv(CHUNK)
        if not data:
            break
        answer += data
    status = STATUS.match(answer)
    words = f"GET http://{host}:{port}{path}: "
    if status is None:
        return Outcome(False, words + ("its answer is not HTTP" if answer else "closed without an answer"))
    return Outcome(200 <= int(status[1]) < 400, f"{words}HTTP {int(status[1])}")


def _why(error: OSError, check: Check) -> str:
    late = error.strerror is None and "timed out" in str(error)
    return f"no answer within {check.timeout:g} s" if late else error.strerror or str(error)


def last_line(text: str) -> str:
    """The last line that says something, printable."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(sign if sign.isprintable() else " " for sign in lines[-1]) if lines else ""
