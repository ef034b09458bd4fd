"""A Paramiko transport tuned for many short commands, and a watchdog for the waits that it cannot bound itself.

Nagle's algorithm and delayed acknowledgements cost some 40 ms on connect and again on the first channel; they go
before the key exchange, which is why this is a transport factory and not a setting made afterwards.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import heapq
import itertools
import logging
import os
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import paramiko

# Bytes that Paramiko puts into one packet for sshd: what is no multiple of it leaves a small packet behind, and every
# packet costs about the same.
PACKET = 32768 - 64
RECEIVED_AT_ONCE = 65536
# What is poured in may take as long as it needs, as long as the node goes on taking it: a lossy link recovers sooner.
STALLED = 15.0
QUICKACK = getattr(socket, "TCP_QUICKACK", None)

# Paramiko tells of every lost connection with a traceback; a NodeFailure says it in one line.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class PromptSocket:
    """A connected socket with a timeout, which acknowledges at once if it is TCP: the kernel forgets that after each receive.

    All threads share one interpreter lock, which each system call gives up and then has to wait for again. So what has
    come is taken at once, where Paramiko asks for a packet in pieces, and a packet is sent without waiting for room
    first: with uploads to several nodes at once that saves a third of this process's CPU.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._quickack = QUICKACK if raw.family in (socket.AF_INET, socket.AF_INET6) else None
        self._received = b""
        # The number of a socket that was closed may be another file's by the time it is written to.
        self._sending = threading.Lock()

    def recv(self, size: int) -> bytes:
        if not self._received:
            self._received = self._raw.recv(max(size, RECEIVED_AT_ONCE))
            if self._received and self._quickack is not None:
                self._raw.setsockopt(socket.IPPROTO_TCP, self._quickack, 1)
        data, self._received = self._received[:size], self._received[size:]
        return data

    def send(self, data: bytes) -> int:
        try:
            with self._sending:
                return os.write(self._raw.fileno(), data)
        except BlockingIOError:
            return self._raw.send(data)

    def close(self) -> None:
        """Tell the peer now: a thread that waits in `recv` would keep the connection up until its wait is over."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)
        with self._sending:
            self._raw.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class PromptTransport(paramiko.Transport):
    """Sends small packets at once and looks at an idle connection every 10 s instead of ten times a second."""

    _active_check_timeout = 10.0
    # A cipher that also authenticates costs half of one with a digest beside it. A server without it gets the others.
    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")

    def __init__(self, sock: Any, **kwargs: Any) -> None:
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = PromptSocket(sock)
        self._said: list[str] = []
        super().__init__(sock, **kwargs)

    def words(self) -> str:
        """What the host said for people: before its version line, as a banner of the login, and with its farewell."""
        banner = self.get_banner() if self.auth_handler is not None else None
        return " ".join([*self._said, *([banner.decode("utf-8", "replace")] if banner else [])])

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        # Paramiko keeps neither of these, and only logs them.
        for mark in ("Banner: ", "Disconnect (code "):
            if isinstance(msg, str) and msg.startswith(mark) and not msg.startswith("Banner: SSH-"):
                self._said.append(msg.partition(": ")[2])
        super()._log(level, msg, *args)  # type: ignore[misc]


def hung_up(error: BaseException) -> bool:
    """Whether the peer ended the connection itself. Paramiko gives that another name and keeps the reason beside it."""
    return any(isinstance(found, (EOFError, ConnectionResetError)) for found in (error, error.__context__))


class Watchdog:
    """Calls `end` from another thread when the `with` block takes longer than `seconds`; `barked` says so."""

    def __init__(self, seconds: float, end: Callable[[], object]) -> None:
        self._seconds = seconds
        self._end = end
        self._number: int | None = None
        self._deciding = threading.Lock()
        self.barked = False

    def bark(self) -> None:
        with self._deciding:
            if self._number is None:
                return
            self.barked = True
        self._end()

    def __enter__(self) -> Watchdog:
        # Held, so that it does not bark before it knows its number.
        with self._deciding:
            self._number = KENNEL.watch(self, time.monotonic() + self._seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._deciding:
            number, self._number = self._number, None
        if number is not None:
            KENNEL.leave(number)


class Kennel:
    """One thread that sleeps for all watchdogs: hundreds of connections at once would start hundreds of timers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int]] = []
        self._on_watch: dict[int, Watchdog] = {}
        self._numbers = itertools.count()
        self._awake = False

    def watch(self, dog: Watchdog, end: float) -> int:
        """Have the dog bark at the monotonic time `end`; the number that is to be given back before."""
        with self._changed:
            if not self._awake:
                threading.Thread(target=self._run, name="watchdogs", daemon=True).start()
                self._awake = True
            number = next(self._numbers)
            self._on_watch[number] = dog
            heapq.heappush(self._due, (end, number))
            if self._due[0][1] == number:
                self._changed.notify()
            return number

    def leave(self, number: int) -> None:
        with self._changed:
            self._on_watch.pop(number, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._due and self._due[0][1] not in self._on_watch:
                    heapq.heappop(self._due)
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                dog = self._on_watch.pop(heapq.heappop(self._due)[1])
            # To end a connection can take a while, and the next dog is not to wait for it, if it can be helped.
            try:
                threading.Thread(target=dog.bark, name="watchdog", daemon=True).start()
            except RuntimeError:
                dog.bark()


KENNEL = Kennel()


def bytes_under_way(transport: paramiko.Transport) -> int:
    """What was sent and the peer's kernel has not confirmed yet; 0 where the system does not tell."""
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(transport.sock.fileno(), termios.TIOCOUTQ, waiting)
    except (OSError, ValueError):
        return 0
    return waiting[0]


class OutflowGuard:
    """Closes a connection whose peer confirms none of the bytes on their way to it for `seconds`; `barked` says so.

    A write into such a connection is bounded by nothing else, and on a slow link no deadline for the whole would be right.
    """

    LOOK_EVERY = 1.0

    def __init__(self, transport: paramiko.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._over = threading.Event()
        self._handed_over = 0
        self._thread = threading.Thread(target=self._watch, name="outflow", daemon=True)
        self.barked = False

    def counting(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; the guard takes each one that is asked for as a sign of life."""
        for piece in pieces:
            yield piece
            self._handed_over += 1

    def _watch(self) -> None:
        before, since = self._state(), time.monotonic()
        while not self._over.wait(self.LOOK_EVERY):
            now = self._state()
            if now != before or not now[0]:
                before, since = now, time.monotonic()
            elif time.monotonic() - since >= self._seconds:
                self.barked = True
                self._transport.close()
                return

    def _state(self) -> tuple[int, int]:
        """What is under way, and how much went before it: both stand still when nothing is taken."""
        return bytes_under_way(self._transport), self._handed_over

    def __enter__(self) -> OutflowGuard:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
