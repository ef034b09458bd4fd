"""A connection's socket, and its guards: one ends what takes too long, one tells a peer that takes nothing from a slow one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NoReturn

import pytest

from duckconf.reach.ssh.transport import OutflowGuard, PromptSocket, Watchdog, bytes_under_way
from tests.waiting import until


class Peer:
    """Both ends of a TCP connection; ours as a transport has it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.near = socket.create_connection(server.getsockname())
            self.far, _ = server.accept()
        self.near.setblocking(False)
        self.transport = SimpleNamespace(sock=self.near, close=self.near.close)

    def fill(self) -> None:
        try:
            while True:
                self.near.send(bytes(1 << 20))
        except BlockingIOError:
            pass


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setattr(OutflowGuard, "LOOK_EVERY", 0.02)
    both = Peer()
    yield both
    both.near.close()
    both.far.close()


def test_a_peer_that_takes_nothing_more_is_cut_off(peer: Peer) -> None:
    peer.fill()
    assert bytes_under_way(peer.transport) > 0  # type: ignore[arg-type]

    with OutflowGuard(peer.transport, 0.3) as guard:  # type: ignore[arg-type]
        until("it is cut off", lambda: guard.barked, 5)
    assert peer.near.fileno() == -1


def test_a_peer_that_takes_a_little_now_and_then_is_waited_for(peer: Peer) -> None:
    peer.fill()
    begun = time.monotonic()
    with OutflowGuard(peer.transport, 0.3) as guard:  # type: ignore[arg-type]
        for _ in guard.counting(iter([b"piece"] * 10)):
            until("a third of its patience has passed", deadline(0.1))
    assert time.monotonic() - begun > 0.9
    assert not guard.barked


def test_a_connection_with_nothing_under_way_is_left_alone(peer: Peer) -> None:
    with OutflowGuard(peer.transport, 0.1) as guard:  # type: ignore[arg-type]
        until("five times its patience has passed", deadline(0.5))
    assert not guard.barked


def deadline(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def test_a_watchdog_barks_when_it_takes_too_long_and_each_at_its_own_time() -> None:
    barks: list[str] = []
    with Watchdog(30, lambda: barks.append("late")) as late, Watchdog(0.02, lambda: barks.append("soon")) as soon:
        until("the first barks", lambda: bool(barks))
        assert (barks, soon.barked, late.barked) == (["soon"], True, False)


def test_a_watchdog_that_is_slow_to_bark_does_not_keep_the_next_one_waiting() -> None:
    held, barked = threading.Event(), threading.Event()
    with Watchdog(0, lambda: bool(held.wait(30))), Watchdog(0.01, barked.set):
        assert barked.wait(10)
    held.set()


def test_a_watchdog_is_silent_afterwards_also_when_it_serves_again() -> None:
    barks: list[str] = []
    dog = Watchdog(0.05, lambda: barks.append("dog"))
    for _ in range(3):
        with dog:
            pass
    with Watchdog(0.2, lambda: barks.append("end")):
        until("the other one barks", lambda: bool(barks))
    assert (barks, dog.barked) == (["end"], False)


@pytest.fixture
def prompt(peer: Peer) -> PromptSocket:
    peer.near.settimeout(0.05)
    return PromptSocket(peer.near)


def test_what_came_at_once_is_handed_out_in_the_pieces_that_are_asked_for(peer: Peer, prompt: PromptSocket) -> None:
    peer.far.sendall(b"four and the rest")
    assert [prompt.recv(4), prompt.recv(4), prompt.recv(100)] == [b"four", b" and", b" the rest"]
    with pytest.raises(TimeoutError):
        prompt.recv(4)
    peer.far.sendall(b"more")
    assert prompt.recv(100) == b"more"


def test_the_end_comes_after_what_came_before_it(peer: Peer, prompt: PromptSocket) -> None:
    peer.far.sendall(b"last words")
    peer.far.close()
    assert [prompt.recv(5), prompt.recv(100), prompt.recv(100)] == [b"last ", b"words", b""]


def send_for_ever(prompt: PromptSocket) -> NoReturn:
    while True:
        prompt.send(bytes(1 << 16))


def test_what_there_is_room_for_is_sent_and_a_full_connection_is_waited_for(peer: Peer, prompt: PromptSocket) -> None:
    sent = prompt.send(b"x" * 1000)
    assert peer.far.recv(2000) == b"x" * sent
    with pytest.raises(TimeoutError):
        send_for_ever(prompt)
    peer.near.settimeout(10.0)
    room = threading.Timer(0.1, lambda: peer.far.recv(1 << 22, socket.MSG_WAITALL))
    room.start()
    assert prompt.send(b"y" * 1000) > 0
    peer.near.shutdown(socket.SHUT_WR)
    room.join(10)


def test_a_closed_one_takes_and_gives_nothing_and_ends_a_wait(peer: Peer, prompt: PromptSocket) -> None:
    peer.near.settimeout(30.0)
    ends: list[bytes | str] = []

    def wait() -> None:
        try:
            ends.append(prompt.recv(4))
        except OSError as error:
            ends.append(str(error.strerror))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    prompt.close()
    thread.join(10)
    assert ends in ([b""], ["Bad file descriptor"])
    with pytest.raises(OSError, match="Bad file descriptor"):
        prompt.send(b"too late")
