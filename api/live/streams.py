"""Open streams, all written to by one thread: none costs a worker of the server, and none can hold up another.

A socket never blocks; what it does not take waits in a queue, which refers to bytes that all streams share. Who does not read
for too long is cut off, and comes back by itself.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from api.live.frames import KEEP_ALIVE

# Seconds. A page that hears nothing for longer than two of these calls itself stale.
KEEP_ALIVE_EVERY = 5.0
# Bytes that wait for one reader, beside the first picture, when more is to come. Readers share them: they cost little.
LONGEST_QUEUE = 8 << 20
LARGEST_READ = 1 << 12
WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(eq=False)
class _Stream:
    line: socket.socket
    queue: deque[memoryview] = field(default_factory=deque)
    waiting: int = 0
    most: int = LONGEST_QUEUE

    def put(self, content: bytes) -> None:
        self.queue.append(memoryview(content))
        self.waiting += len(content)

    def flush(self) -> bool:
        """Write what the socket takes; whether all is written. Raises OSError when the reader is gone."""
        while self.queue:
            try:
                written = self.line.send(self.queue[0])
            except WAITS:
                return False
            self.waiting -= written
            left = self.queue[0][written:]
            if left:
                self.queue[0] = left
            else:
                self.queue.popleft()
        return True


class Streams:
    """Those of one server. `add` and `send` may be called by any thread, and wait for nobody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._streams: set[_Stream] = set()
        self._asked: deque[tuple[_Stream | None, bytes]] = deque()
        self._selector = selectors.DefaultSelector()
        self._thread: threading.Thread | None = None
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, line: socket.socket, first: bytes) -> None:
        """From now on, `line` is ours: it gets `first`, and then all that is sent."""
        line.setblocking(False)
        self._ask(_Stream(line, most=LONGEST_QUEUE + len(first)), first)

    def send(self, content: bytes) -> None:
        """To all streams."""
        self._ask(None, content)

    def _ask(self, stream: _Stream | None, content: bytes) -> None:
        with self._lock:
            if stream is not None:
                self._streams.add(stream)
            self._asked.append((stream, content))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()
        with contextlib.suppress(BlockingIOError):
            os.write(self._ring, b"!")

    def _run(self) -> None:
        due = self._clock() + KEEP_ALIVE_EVERY
        while True:
            for key, events in self._selector.select(max(0.0, due - self._clock())):
                if key.data is None:
                    self._answer()
                elif events & selectors.EVENT_READ and not _reads(key.data):
                    self._drop(key.data)
                else:
                    self._write(key.data)
            if self._clock() >= due:
                due = self._clock() + KEEP_ALIVE_EVERY
                self._broadcast(KEEP_ALIVE)

    def _answer(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, LARGEST_READ)
        for stream, content in self._taken():
            if stream is None:
                self._broadcast(content)
                continue
            self._selector.register(stream.line, selectors.EVENT_READ, stream)
            stream.put(content)
            self._write(stream)

    def _taken(self) -> Iterator[tuple[_Stream | None, bytes]]:
        while self._asked:
            yield self._asked.popleft()

    def _broadcast(self, content: bytes) -> None:
        for stream in [key.data for key in self._selector.get_map().values() if key.data is not None]:
            if stream.waiting > stream.most:
                self._drop(stream)
                continue
            stream.put(content)
            self._write(stream)

    def _write(self, stream: _Stream) -> None:
        if stream not in self._streams:
            return
        try:
            more = not stream.flush()
        except OSError:
            self._drop(stream)
            return
        self._selector.modify(stream.line, selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0), stream)

    def _drop(self, stream: _Stream) -> None:
        if stream in self._streams:
            with self._lock:
                self._streams.discard(stream)
            self._selector.unregister(stream.line)
            with contextlib.suppress(OSError):
                stream.line.close()


def _reads(stream: _Stream) -> bool:
    """Whether the reader is still there. Nothing that it sends means anything."""
    try:
        return bool(stream.line.recv(LARGEST_READ))
    except WAITS:
        return True
    except OSError:
        return False
