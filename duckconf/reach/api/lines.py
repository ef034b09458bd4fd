"""The connections of a process to its servers: names are looked up with a deadline, and those to a server can be broken off."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import weakref
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from duckconf.reach.api.lookup import Lookup

# How much longer than a connection a lookup may take: a resolver asks its second name server after 5 s.
PATIENCE = 2
# Seconds for a lookup where the connection has no deadline.
LOOKUP_SECONDS = 6.0


class Lines:
    """For many threads, each with pools of its own."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._open: weakref.WeakKeyDictionary[socket.socket, tuple[str, int]] = weakref.WeakKeyDictionary()

    def pool(self, ca_file: str = "", **options: Any) -> urllib3.PoolManager:
        """As urllib3's, without retries; `ca_file` verifies https servers."""
        trust = {"ca_certs": ca_file} if ca_file else {}
        pool = urllib3.PoolManager(retries=False, **{**trust, **options})
        plain, safe = functools.partial(_Pool, lines=self), functools.partial(_SafePool, lines=self)
        pool.pool_classes_by_scheme = {"http": plain, "https": safe}  # type: ignore[dict-item]
        return pool

    def connect(self, connection: HTTPConnection, make: Any) -> socket.socket:
        """What `make` makes, at the address where the host is; the certificate is asked for the name. Raises as urllib3 does."""
        name, bound = connection.host, connection.timeout
        try:
            found = self._lookup.find(name, PATIENCE * bound if isinstance(bound, (int, float)) else LOOKUP_SECONDS)
        except socket.gaierror as error:
            raise NameResolutionError(name, connection, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, str(error)) from error
        made = _first(connection, make, found)
        self._lookup.reached(name, str(made.getpeername()[0]))
        return made

    def opened(self, connection: HTTPConnection) -> None:
        """Its socket is what is broken off: a connection that will not be used again has none any more while it is read."""
        if connection.sock is not None:
            with self._lock:
                self._open[connection.sock] = (connection.host, connection.port)

    def break_off(self, host: str, port: int) -> None:
        """What waits for an answer from there waits no longer."""
        with self._lock:
            meant = [sock for sock, place in self._open.items() if place == (host, port)]
        for sock in meant:
            with contextlib.suppress(OSError):
                # Of the socket itself: TLS would take its state away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Line(HTTPConnection):
    def __init__(self, *arguments: Any, lines: Lines, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lines = lines

    def connect(self) -> None:
        super().connect()
        self._lines.opened(self)

    def _new_conn(self) -> socket.socket:
        return self._lines.connect(self, super()._new_conn)


class _SafeLine(HTTPSConnection):
    def __init__(self, *arguments: Any, lines: Lines, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lines = lines

    def connect(self) -> None:
        super().connect()
        self._lines.opened(self)

    def _new_conn(self) -> socket.socket:
        return self._lines.connect(self, super()._new_conn)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Line


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SafeLine


def _first(connection: HTTPConnection, make: Any, found: list[str]) -> socket.socket:
    """The first of the addresses that accepts a connection."""
    name = connection.host
    try:
        for number, address in enumerate(found):
            connection.host = address
            try:
                made: socket.socket = make()
                return made
            except (NewConnectionError, ConnectTimeoutError):
                if number == len(found) - 1:
                    raise
    finally:
        connection.host = name
    raise NewConnectionError(connection, f"{name} has no address")
