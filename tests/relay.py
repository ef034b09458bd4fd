"""A TCP relay as a process, `python -m tests.relay PORT TO`: it can be killed and frozen while what it leads to lives."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def serve(port: int, to: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            line, _ = listening.accept()
            threading.Thread(target=_lead, args=(line, to), daemon=True).start()


def _lead(line: socket.socket, to: int) -> None:
    with contextlib.suppress(OSError), line, socket.create_connection(("127.0.0.1", to)) as other:
        back = threading.Thread(target=_pass_on, args=(other, line), daemon=True)
        back.start()
        _pass_on(line, other)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """To the end of what the source says, which the target then hears too."""
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
