"""Watches the health of containers on this machine: each has a thread of its own, so that a check that hangs holds up no other.

Nothing is told but changes of a verdict. In agents mode it is a part of the agent; in reconcile mode the loop sends it to the
node as a program (`health_program.py`), and tells it over the same channel what to watch.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Optional

from duckconf.healthcheck import (
    HEALTHY,
    NO_CHECK,
    STARTING,
    UNHEALTHY,
    Check,
    State,
    addresses,
    after,
    check_of,
    epoch,
    pause,
    reason,
)
from duckconf.reach.nodes.probe import Outcome, end_command, reach, run_command

INSPECT_WITHIN = 30.0
INSPECT_AGAIN = 5.0
# Until an attempt that was killed has ended.
ENDED_WITHIN = 1.0
# At once, where many containers come to be watched together.
INSPECTIONS = threading.BoundedSemaphore(4)


class Target(NamedTuple):
    """A container by its id, and what its label says of its check ("" where only its image may have one)."""

    id: str
    check: str


class Verdict(NamedTuple):
    """`words` say why it is unhealthy. `fresh` is false for the first verdict on a container that had run before it was
    watched: it is no news."""

    id: str
    health: str
    words: str
    fresh: bool


Tell = Callable[[Verdict], None]


class Watcher:
    """`tell` is called from many threads."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}

    def watch(self, targets: Sequence[Target]) -> None:
        """These from now on, and no others."""
        wanted = {target.id: target for target in targets}
        with self._lock:
            for name in [name for name in self._watched if name not in wanted]:
                self._watched.pop(name).end()
            for name, target in wanted.items():
                if name not in self._watched:
                    self._watched[name] = _Watched(target, self._tell)

    def forget(self, container: str) -> None:
        """It was restarted: what is known of it no longer counts. It is watched anew when it is named again."""
        with self._lock:
            watched = self._watched.pop(container, None)
        if watched is not None:
            watched.end()


class _Watched:
    """One container and the thread that attempts its check again and again."""

    def __init__(self, target: Target, tell: Tell) -> None:
        self._target = target
        self._tell = tell
        self._ended = threading.Event()
        self._check: Optional[Check] = None
        self._attempt: Optional[_Attempt] = None
        self._inspected: Mapping[str, Any] = {}
        self._started = 0.0
        threading.Thread(target=self._run, name=f"health-{target.id[:12]}", daemon=True).start()

    def end(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._inspect():
            if self._ended.wait(INSPECT_AGAIN):
                return
        check = self._check
        if check is None:
            self._say(NO_CHECK, "", fresh=False)
            return
        state = State()
        fresh = self._age() < check.grace
        self._say(STARTING, "", fresh=False)
        while not self._ended.wait(pause(check, state, self._age())):
            age = self._age()
            outcome = self._try(check)
            if self._ended.is_set():
                return
            if not outcome.passed and self._restarted():
                state, fresh = State(), True
                self._say(STARTING, "", fresh=True)
                continue
            if outcome.passed is None:
                # The engine is away, or the container is: no verdict on the app.
                state = replace(state, attempts=state.attempts + 1)
                continue
            before, state = state, after(check, state, passed=outcome.passed, words=outcome.words, age=age)
            if state.verdict != before.verdict:
                words = reason(state) if state.verdict == UNHEALTHY else state.words
                self._say(state.verdict, words, fresh=fresh or before.verdict != STARTING or state.verdict != HEALTHY)

    def _restarted(self) -> bool:
        """Ask the engine again: somebody may have restarted it, and its address may be another one."""
        before = self._started
        return self._inspect() and self._started != before

    def _try(self, check: Check) -> Outcome:
        if self._attempt is not None and not self._attempt.done.is_set():
            # It could not be ended. Another one beside it would hang as well, and they would pile up in the container.
            self._attempt.done.wait(check.timeout)
            if not self._attempt.done.is_set():
                self._end(check)
                return Outcome(False, f"an attempt has not ended for {time.monotonic() - self._attempt.begun:.0f} s")
        self._attempt = _Attempt(self._target.id, check, addresses(self._inspected, check.port) if check.port else ())
        if not self._attempt.done.wait(check.timeout + (1.0 if check.port else 0.0)):
            self._end(check)
            return Outcome(False, f"did not end within {check.timeout:g} s")
        return self._attempt.outcome

    def _end(self, check: Check) -> None:
        if check.command:
            end_command(self._target.id)
            if self._attempt is not None:
                self._attempt.done.wait(ENDED_WITHIN)

    def _inspect(self) -> bool:
        """Whether the engine told what the container is like."""
        argv = ["docker", "inspect", "--type=container", self._target.id]
        try:
            with INSPECTIONS:
                done = subprocess.run(argv, capture_output=True, timeout=INSPECT_WITHIN, stdin=subprocess.DEVNULL, check=True)
            self._inspected = json.loads(done.stdout)[0]
            text, fraction, offset = epoch(self._inspected["State"]["StartedAt"])
            self._started = datetime.datetime.fromisoformat(text + offset).timestamp() + fraction
            own = json.loads(self._target.check) if self._target.check else {}
            self._check = check_of(own, self._inspected["Config"].get("Healthcheck"))
        except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError, AttributeError):
            return False
        return True

    def _age(self) -> float:
        return max(0.0, time.time() - self._started)

    def _say(self, health: str, words: str, *, fresh: bool) -> None:
        if not self._ended.is_set():
            self._tell(Verdict(self._target.id, health, words, fresh))


class _Attempt:
    """One attempt in a thread of its own, which ends when the attempt does."""

    def __init__(self, container: str, check: Check, found: Sequence[tuple[str, int]]) -> None:
        self.begun = time.monotonic()
        self.done = threading.Event()
        self.outcome = Outcome(None, "")
        threading.Thread(target=self._run, args=(container, check, found), daemon=True).start()

    def _run(self, container: str, check: Check, found: Sequence[tuple[str, int]]) -> None:
        try:
            self.outcome = run_command(container, check.command) if check.command else reach(check, found)
        except (OSError, ValueError) as error:
            # No docker, no process left: the node's trouble, not the app's.
            self.outcome = Outcome(None, str(error))
        finally:
            self.done.set()
