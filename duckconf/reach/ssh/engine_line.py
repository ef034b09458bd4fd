"""The open lines to one node's container engine: HTTP over a few programs on the node that pass bytes to and fro.

A question or a request costs a few milliseconds where a command would start a program on the node. It is only ever a
shortcut: when there is no answer, for whatever reason of the engine's, the asker is told to use a command, whose words are
for people. A node that does not answer at all is a NodeFailure, as it is for a command.
"""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar, runtime_checkable

from duckconf import engine
from duckconf.command import Command, Completed
from duckconf.engine_api import Request
from duckconf.errors import EngineUnavailable
from duckconf.reach.ssh.engine_call import Dialogue, EngineCall

# A line that fails so soon is not worth its opening (no such engine, or one that hangs up when idle); nor is
# another before as much time has passed.
REST = 60.0
# Each is a session of the connection. One request takes as long as the engine does; what finds no line free for long is
# done by a command.
LINES = 3
PATIENCE = 5.0

Value = TypeVar("Value")


@runtime_checkable
class HasEngineLine(Protocol):
    """A runner that can keep a line open."""

    @property
    def engine_line(self) -> EngineLine: ...  # pragma: no cover


class EngineLine:
    """The lines of one node, the first opened at the second question, because for one alone a command is cheaper."""

    def __init__(self, node: str, dial: Callable[[Command], Dialogue], *, name_is_known: bool = False) -> None:
        """`dial` starts the program on the node or raises NodeFailure. With `name_is_known`, who asks has seen to it that the
        machine still has the node's name."""
        self._node = node
        self._dial = dial
        self._changed = threading.Condition()
        self._idle: list[EngineCall] = []
        self._open: set[EngineCall] = set()
        self._dialling = 0
        self._asked = False
        self._name_is_known = name_is_known
        self.failed = False
        """Whether the last question should have gone over the line and could not, maybe because the machine has another name."""
        self._rest_until = -math.inf

    def ask(self, path: str, read: Callable[[bytes], Value]) -> Value | None:
        """What `read` makes of the engine's answer to GET `path`; None when a command should ask instead.

        `read` raises EngineUnavailable for what is no answer. Raises NodeFailure when the node does not answer.
        """
        self.failed = False
        if self._is_first():
            return None
        # An engine or a connection that has gone since the last question is called again once.
        for _ in range(2):
            answer = self._over_a_line(lambda call: read(call.get(path)))
            if answer is not None:
                return answer
        self.failed = not self._name_is_known
        return None

    def perform(self, request: Request, seconds: float) -> Completed | None:
        """The outcome of what a command would do; None when the command should. Raises NodeFailure when the node does not
        answer: it may have been done."""
        return None if self._is_first() else self._over_a_line(lambda call: call.perform(request, seconds))

    def give_up(self) -> None:
        """Leave the sessions that the lines take to commands, from now on."""
        with self._changed:
            self._rest_until = math.inf
            calls = list(self._open)
        for call in calls:
            call.dialogue.close()

    def _is_first(self) -> bool:
        with self._changed:
            first, self._asked = not self._asked, True
            return first

    def _over_a_line(self, act: Callable[[EngineCall], Value]) -> Value | None:
        call = self._lend()
        if call is None:
            return None
        try:
            answer = act(call)
        except (EngineUnavailable, http.client.HTTPException, OSError):
            self._hang_up(call)
            return None
        except BaseException:
            self._hang_up(call)
            raise
        self._give_back(call)
        return answer

    def _lend(self) -> EngineCall | None:
        """A line for one asker, opened when there may be one more. None when there is none to be had."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                if time.monotonic() < self._rest_until:
                    self._drop(self._idle)
                    return None
                if self._idle:
                    return self._idle.pop()
                if len(self._open) + self._dialling < LINES:
                    self._dialling += 1
                    break
                if not self._changed.wait(end - time.monotonic()):
                    return None
        call = None
        try:
            call = EngineCall(self._node, self._dial(engine.dial()))
            return call
        finally:
            with self._changed:
                self._dialling -= 1
                self._open |= {call} if call is not None else set()
                self._changed.notify()

    def _give_back(self, call: EngineCall) -> None:
        """The line that was used last is used next, so that those that are not needed are seen to rest."""
        call.used = time.monotonic()
        with self._changed:
            self._idle.append(call)
            self._drop([idle for idle in self._idle[:-1] if idle.used + REST < call.used])
            self._changed.notify()

    def _hang_up(self, call: EngineCall) -> None:
        now = time.monotonic()
        with self._changed:
            if call.dialogue.connected and now < call.begun + REST:
                self._rest_until = max(self._rest_until, now + REST)
            self._drop([call])
            self._changed.notify()

    def _drop(self, calls: list[EngineCall]) -> None:
        for call in list(calls):
            self._open.discard(call)
            with suppress(ValueError):
                self._idle.remove(call)
            call.dialogue.close()
