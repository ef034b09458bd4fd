"""HTTP with a node's container engine over one program on the node that passes bytes to and fro, one request at a time."""

from __future__ import annotations

import http.client
import io
import json
import math
import time
from typing import Any, Protocol

from duckconf.command import Completed
from duckconf.engine_api import DOCKER, PODMAN, Answer, Call, Request
from duckconf.errors import EngineUnavailable

ANSWER_WITHIN = 30.0
LONGEST_NAME = 1024
CHUNK = 65536


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


class EngineCall:
    """HTTP over one dialogue. All that it does raises NodeFailure, OSError or HTTPException."""

    def __init__(self, node: str, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.begun = self.used = time.monotonic()
        self._node = node
        self._greeted = False
        self._engine = ""
        self._wire = _Wire(dialogue)
        self._http = http.client.HTTPConnection("engine")
        self._http.sock = self._wire
        # Else it would connect to a host of that name when the engine has closed the dialogue.
        self._http.auto_open = 0

    def get(self, path: str) -> bytes:
        answer = self._exchange(Call("GET", path), ANSWER_WITHIN)
        if answer.status != http.client.OK:
            raise EngineUnavailable(self._node, f"the engine answers {answer.status}")
        return answer.body

    def perform(self, request: Request, seconds: float) -> Completed | None:
        """The outcome, None when a command has to do it. Raises EngineUnavailable for an answer that cannot be read, too."""
        self._engine = self._engine or self._kind()
        steps = request.steps(self._engine, self._node)
        try:
            call = next(steps)
            while True:
                call = steps.send(self._exchange(call, seconds))
        except StopIteration as end:
            outcome: Completed | None = end.value
            return outcome
        except (ValueError, LookupError, TypeError) as error:
            raise EngineUnavailable(self._node, f"the engine's answer cannot be read: {error}") from error

    def _kind(self) -> str:
        """The engine itself says which one it is, whatever the inventory has."""
        self._exchange(Call("GET", "/_ping"), ANSWER_WITHIN)
        return PODMAN if "Libpod-API-Version" in self._headers else DOCKER

    def _exchange(self, call: Call, seconds: float) -> Answer:
        self._wire.end = time.monotonic() + seconds
        if not self._greeted:
            self._greet()
        if call.body is None:
            self._http.request(call.method, call.path)
        else:
            self._http.request(call.method, call.path, json.dumps(call.body).encode(), {"Content-Type": "application/json"})
        answer = self._http.getresponse()
        self._headers = answer.headers
        return Answer(answer.status, answer.read())

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
