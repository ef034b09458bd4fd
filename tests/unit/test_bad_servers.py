"""What is said of servers that are no sshd, or none that works: real sockets, and one line for a person."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from duckconf.errors import Unreachable
from duckconf.inventory import Host
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts, shown_key

DEADLINE = 0.5
Behaviour = Callable[[socket.socket], object]


def closes(caller: socket.socket) -> None:
    caller.close()


def resets(caller: socket.socket) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()


def closes_after_its_banner(caller: socket.socket) -> None:
    caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    caller.close()


def says_nothing(_: socket.socket) -> None:
    pass


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that does this with each caller."""
    callers: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            callers.append(caller)
            request.param(caller)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for caller in callers:
        caller.close()


def why_not(port: int, tmp_path: Path) -> str:
    host = Host("n", "127.0.0.1", port, key_file=str(tmp_path / "key"), demo=True)
    (tmp_path / "key").write_bytes(b"")
    fleet = Fleet([host], KnownHosts(tmp_path / "known_hosts"), tmp_path / "key", DEADLINE)
    with pytest.raises(Unreachable) as failure:
        fleet.runner("n").open()
    fleet.close()
    return failure.value.reason


@pytest.mark.parametrize("server", [closes, resets, closes_after_its_banner], indirect=True)
def test_one_that_hangs_up_is_told_from_one_that_is_silent(server: int, tmp_path: Path) -> None:
    assert why_not(server, tmp_path) == f"127.0.0.1:{server} closes the connection before the login"
    with pytest.raises(Unreachable, match="it closes the connection at once"):
        shown_key(Host("n", "127.0.0.1", server), DEADLINE)


@pytest.mark.parametrize("server", [says_nothing], indirect=True)
def test_one_that_says_nothing_is_told_with_the_deadline(server: int, tmp_path: Path) -> None:
    assert why_not(server, tmp_path) == f"no answer from 127.0.0.1:{server} within 0.5 s"
    with pytest.raises(Unreachable, match=r"no answer within 0.5 s"):
        shown_key(Host("n", "127.0.0.1", server), DEADLINE)


def test_where_nothing_listens_that_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert why_not(port, tmp_path) == f"nothing listens on 127.0.0.1:{port}"
    with pytest.raises(Unreachable, match="nothing listens there"):
        shown_key(Host("n", "127.0.0.1", port), DEADLINE)
