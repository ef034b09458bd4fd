"""An open line to one node's container engine: HTTP over a program on the node that passes bytes to and fro.

A question costs a few milliseconds where a command would start a program on the node. It is only ever a shortcut: when
there is no answer, for whatever reason of the engine's, the asker is told to use a command, whose words are for people.
A node that does not answer at all is a NodeFailure, as it is for a command.
"""

from __future__ import annotations

import http.client
import io
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from duckconf import engine
from duckconf.command import Command
from duckconf.errors import EngineUnavailable, NodeFailure

ANSWER_WITHIN = 30.0
# A line that fails so soon is not worth its opening (no such engine, or one that hangs up when idle); nor is
# another before as much time has passed.
REST = 60.0
LONGEST_NAME = 1024
CHUNK = 65536

Value = TypeVar("Value")


class Dialogue(Protocol):
    """A program that runs on the node and is spoken to. `end` is the monotonic time at which waiting ends."""

    @property
    def connected(self) -> bool:
        """Whether the node can still be spoken to; the program itself may have ended."""
        ...  # pragma: no cover

    def send(self, data: bytes, end: float) -> None:
        """Raises NodeFailure when the node is gone or the time is up, OSError when the program has ended."""
        ...  # pragma: no cover

    def receive(self, size: int, end: float) -> bytes:
        """What there is, at most `size` bytes, at least one; none when the program has ended. Raises NodeFailure."""
        ...  # pragma: no cover

    def close(self) -> None: ...  # pragma: no cover


@runtime_checkable
class HasEngineLine(Protocol):
    """A runner that can keep a line open."""

    @property
    def engine_line(self) -> EngineLine: ...  # pragma: no cover


class EngineLine:
    """The line of one node, opened at the second question, because for one alone a command is cheaper."""

    def __init__(self, node: str, dial: Callable[[Command], Dialogue]) -> None:
        """`dial` starts the program on the node or raises NodeFailure."""
        self._node = node
        self._dial = dial
        self._lock = threading.Lock()
        self._call: _Call | None = None
        self._asked = False
        self.failed = False
        """Whether the last question should have gone over the line and could not."""
        self._rest_until = -math.inf

    def ask(self, path: str, read: Callable[[bytes], Value]) -> Value | None:
        """What `read` makes of the engine's answer to GET `path`; None when a command should ask instead.

        `read` raises EngineUnavailable for what is no answer. Raises NodeFailure when the node does not answer.
        """
        with self._lock:
            first, self._asked = not self._asked, True
            self.failed = False
            if first:
                return None
            # An engine or a connection that has gone since the last question is called again once.
            for _ in range(2):
                if time.monotonic() < self._rest_until:
                    self._hang_up()
                    break
                call = self._call = self._call or _Call(self._node, self._dial(engine.dial()))
                try:
                    return read(call.get(path))
                except (EngineUnavailable, http.client.HTTPException, OSError):
                    self._hang_up()
                except NodeFailure:
                    self._hang_up()
                    raise
            self.failed = True
            return None

    def give_up(self) -> None:
        """Leave the session that the line takes to commands, from now on."""
        self._rest_until = math.inf
        call = self._call
        if call is not None:
            call.dialogue.close()

    def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        now = time.monotonic()
        if call.dialogue.connected and now < call.begun + REST:
            self._rest_until = max(self._rest_until, now + REST)
        call.dialogue.close()


class _Call:
    """HTTP over one dialogue, one request at a time."""

    def __init__(self, node: str, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.begun = time.monotonic()
        self._node = node
        self._greeted = False
        self._wire = _Wire(dialogue)
        self._http = http.client.HTTPConnection("engine")
        self._http.sock = self._wire
        # Else it would connect to a host of that name when the engine has closed the dialogue.
        self._http.auto_open = 0

    def get(self, path: str) -> bytes:
        self._wire.end = time.monotonic() + ANSWER_WITHIN
        if not self._greeted:
            self._greet()
        self._http.request("GET", path)
        answer = self._http.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise EngineUnavailable(self._node, f"the engine answers {answer.status} {answer.reason}")
        return body

    def _greet(self) -> None:
        """Containers carry the name that the node gives itself; under another name we would see none of them."""
        name = self._wire.unbuffered().readline(LONGEST_NAME)
        if name.strip() != self._node.encode():
            raise EngineUnavailable(self._node, f"calls itself {name!r}")
        self._greeted = True


class _Wire:
    """As much of a socket as http.client uses."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.end = math.inf
        self._dialogue = dialogue

    def sendall(self, data: bytes) -> None:
        self._dialogue.send(data, self.end)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        return io.BufferedReader(self.unbuffered(), CHUNK)

    def unbuffered(self) -> io.RawIOBase:
        """Takes no byte beyond what it gives: what follows is there for the next reader."""
        return _Incoming(self._dialogue, self.end)

    def close(self) -> None:
        self._dialogue.close()


class _Incoming(io.RawIOBase):
    """What comes back for one request; closing it leaves the dialogue open."""

    def __init__(self, dialogue: Dialogue, end: float) -> None:
        self._dialogue = dialogue
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._dialogue.receive(len(buffer), self._end)
        buffer[: len(data)] = data
        return len(data)
