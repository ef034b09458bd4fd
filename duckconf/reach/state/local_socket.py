"""A socket in the state folder, at which the process that holds the connections to the nodes is asked for something.

It belongs to one cluster of one checkout by its place, and nobody else on the machine can open it.
"""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ALIVE = b"\n"
# What the kernel takes for the path of a socket.
LONGEST_PATH = 100
LARGEST_QUESTION = 1 << 20
CHUNK = 1 << 16

log = logging.getLogger(__name__)


def serve(folder: Path, name: str, answer: Callable[[bytes], bytes], without: str) -> None:
    """Answer from now on, in threads of its own, as long as the process lives. Only the process that holds the lock of the
    cluster's state calls this. A question is a line; `answer` raises ValueError for one that is none. `without` says what is
    so where there can be no socket."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                question = self.rfile.readline(LARGEST_QUESTION)
                self.wfile.write(ALIVE)
                self.wfile.write(answer(question))

    try:
        with _address(folder, name) as address:
            (folder / name).unlink(missing_ok=True)
            server = _Server(address, Answer)
            (folder / name).chmod(0o600)
    except OSError as error:
        log.warning("%s: no socket at %s: %s", without, folder / name, error)
        return
    threading.Thread(target=server.serve_forever, name=name, daemon=True).start()


def ask(folder: Path, name: str, question: bytes, alive_within: float, longest: float) -> bytes | None:
    """The answer; None when the process shows no sign of life. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, _address(folder, name) as address:
        line.settimeout(alive_within)
        line.connect(address)
        line.sendall(question + b"\n")
        if line.recv(1) != ALIVE:
            return None
        line.settimeout(longest)
        return b"".join(iter(lambda: line.recv(CHUNK), b""))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def _address(folder: Path, name: str) -> Iterator[str]:
    """The socket's path, by the descriptor of its folder where it is too long. Raises OSError."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
