"""A socket in the state folder, at which the process that holds the connections is asked what the nodes run.

It belongs to one cluster of one checkout by its place, and nobody else on the machine can open it. When nobody answers there,
for whatever reason, the asker connects to the nodes itself.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from duckconf.inventory import Host
from duckconf.observation import Observation, fingerprint, observation_from_json

FILE_NAME = "observer.sock"
# Seconds. A process that lives says so at once; its answer takes as long as the slowest node.
SIGN_OF_LIFE = 1.0
LONGEST_ANSWER = 45.0
ALIVE = b"\n"
# What the kernel takes for the path of a socket.
LONGEST_PATH = 100
LARGEST_QUESTION = 1 << 20
CHUNK = 1 << 16

Look = Callable[[Mapping[str, str]], Observation]

log = logging.getLogger(__name__)


def serve(folder: Path, look: Look) -> None:
    """Answer from now on, in threads of its own, as long as the process lives. Only the process that holds the lock of the
    cluster's state calls this."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                wanted = json.loads(self.rfile.readline(LARGEST_QUESTION))
                self.wfile.write(ALIVE)
                self.wfile.write(json.dumps(look(wanted).to_json()).encode())

    try:
        with _address(folder) as address:
            (folder / FILE_NAME).unlink(missing_ok=True)
            server = _Server(address, Answer)
            (folder / FILE_NAME).chmod(0o600)
    except OSError as error:
        log.warning("tasks will connect to the nodes themselves: no socket at %s: %s", folder / FILE_NAME, error)
        return
    threading.Thread(target=server.serve_forever, name="observer", daemon=True).start()


def ask(folder: Path, hosts: Iterable[Host]) -> Observation | None:
    """What these nodes run, as far as the process knows them as they are here; None when no process answers."""
    wanted = {host.name: fingerprint(host) for host in hosts}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, _address(folder) as address:
            line.settimeout(SIGN_OF_LIFE)
            line.connect(address)
            line.sendall(json.dumps(wanted).encode() + b"\n")
            if line.recv(1) != ALIVE:
                return None
            line.settimeout(LONGEST_ANSWER)
            return observation_from_json(json.loads(b"".join(iter(lambda: line.recv(CHUNK), b""))))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's path, by the descriptor of its folder where it is too long. Raises OSError."""
    path = str(folder / FILE_NAME)
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{FILE_NAME}"
    finally:
        os.close(descriptor)
