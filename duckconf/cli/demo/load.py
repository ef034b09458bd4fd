"""Requests at a steady rate over HTTPS, most on connections that are kept open, some on fresh ones; counts how they ended.

A request on a connection that the server had closed before is sent again on a new one, as a browser does: RFC 9110, 9.2.2. What
fails on a fresh one has failed, be it the connection or the handshake.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

LATE = 10.0
MOST_TOLD = 20
# As with visitors, of whom some have just come.
FRESH_EACH = 4


@dataclass
class Count:
    """`ended` is by status, or by what went wrong; `slowest` and `seconds` are in seconds."""

    ended: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    """By the last line of the answer: the demo app says there who it is."""
    latencies: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    """When each of them began, by `time.monotonic`."""
    renewed: int = 0
    """Requests that were sent again because the connection had been closed."""
    failures: list[str] = field(default_factory=list)
    """When the first of them ended, how, and after how many seconds."""
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return self.ended.total()

    @property
    def failed(self) -> int:
        return self.requests - self.ended["200"]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def last_slow(self, begun: float, slow: float) -> float:
        """Until how many seconds after `begun` requests were sent that took longer than `slow` seconds, 0 for none."""
        sent = (when - begun for when, took in zip(self.begun, self.latencies) if took > slow and when > begun)
        return max(sent, default=0.0)

    def quantile(self, share: float) -> float:
        """The latency that this share of the requests stayed under, in seconds."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))] if self.latencies else 0.0


@dataclass(frozen=True)
class Target:
    """`host` is the name that is asked for, at `address` and `port`; `root` is a file with the certificate to trust."""

    host: str
    address: str
    port: int
    root: str
    path: str = "/"


@contextmanager
def load(target: Target, rate: float, connections: int = 20) -> Iterator[Count]:
    """Requests until the block is left."""
    count, ended = Count(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(target, rate, connections, count, ended)), daemon=True)
    begun = time.monotonic()
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()
        count.seconds = time.monotonic() - begun


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _run(target: Target, rate: float, connections: int, count: Count, ended: threading.Event) -> None:
    context = ssl.create_default_context(cafile=target.root)
    connect = partial(asyncio.open_connection, target.address, target.port, ssl=context, server_hostname=target.host)
    begun, pause = time.monotonic(), connections / rate
    await asyncio.gather(
        *(_Client(target, connect, count).run(begun + number / rate, pause, ended) for number in range(connections))
    )


class _Client:
    """One connection at a time."""

    def __init__(self, target: Target, connect: Callable[[], Awaitable[Streams]], count: Count) -> None:
        self._connect = connect
        self._count = count
        self._open: Streams | None = None
        self._asked = 0
        self._request = f"GET {target.path} HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode()

    async def run(self, first: float, pause: float, ended: threading.Event) -> None:
        turn = first
        while not ended.is_set():
            await asyncio.sleep(max(0.0, turn - time.monotonic()))
            # One that is late does not catch up: a rate that cannot be had is told, and no burst follows a pause.
            turn = max(turn + pause, time.monotonic())
            begun = time.monotonic()
            try:
                status, who = await asyncio.wait_for(self._ask(), LATE)
            except (TimeoutError, OSError, EOFError, ValueError) as error:
                self._close()
                status, who = type(error).__name__, str(error)
            seconds = time.monotonic() - begun
            if status == "200":
                self._count.served[who] += 1
            elif len(self._count.failures) < MOST_TOLD:
                self._count.failures.append(f"{time.strftime('%H:%M:%S')} {status} {who} after {seconds:.2f} s")
            self._count.latencies.append(seconds)
            self._count.begun.append(begun)
            self._count.ended[status] += 1
        self._close()

    async def _ask(self) -> tuple[str, str]:
        self._asked += 1
        if self._asked % FRESH_EACH == 0:
            self._close()
        if self._open is not None:
            try:
                return await self._exchange(*self._open)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if getattr(error, "partial", b""):
                    raise
                self._close()
                self._count.renewed += 1
        self._open = await self._connect()
        return await self._exchange(*self._open)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, str]:
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = head.split(" ", 2)[1]
        body = await _body(reader, head)
        if "connection: close" in head:
            self._close()
        return status, body[-80:].decode("utf-8", errors="replace").strip().rpartition("\n")[2]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    """By its length, or in chunks. Raises ValueError for an answer that has neither."""
    if "transfer-encoding: chunked" not in head:
        return await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(chunks)
