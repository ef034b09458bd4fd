"""The restart policy of an app: whether the end of one of its containers is the end of that instance. Pure.

`restart` and `restart_policy` are the Compose Spec's. The loop or the node's agent restarts a container, never its engine, so
that a changed policy replaces no container.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from duckconf import backoff
from duckconf.codec import spec_hash
from duckconf.counts import counted
from duckconf.durations import seconds_in
from duckconf.model import App

NO = "no"
ON_FAILURE = "on-failure"
ALWAYS = "always"
CONDITIONS = {"none": NO, "on-failure": ON_FAILURE, "any": ALWAYS}
DONE = "done"
FAILED = "failed"
RECORD = re.compile(r"([0-9a-f]{16}):([0-9]+):([0-9]+)")


@dataclass(frozen=True)
class End:
    """How an instance ended: the hash of the spec that ran, its exit code, and how often it had been started again."""

    spec: str
    code: int
    restarts: int = 0

    def __str__(self) -> str:
        """As a record, which `read_end` takes."""
        return f"{self.spec}:{self.code}:{self.restarts}"

    @property
    def state(self) -> str:
        """The instance in one word, as `ps` shows it."""
        return f"{FAILED} ({self.code})" if self.code else DONE


def is_end(state: str) -> bool:
    """Whether the word is one of an instance that is not started again."""
    return state == DONE or state.startswith(f"{FAILED} (")


def read_end(record: str) -> End | None:
    found = RECORD.fullmatch(record)
    return End(found[1], int(found[2]), int(found[3])) if found else None


@dataclass(frozen=True)
class Policy:
    """When what ended is started again: `condition` is no, on-failure or always; `most` is how often, 0 for no limit; `pause`
    is the least time between two starts. Restarts are forgotten after `window`. Both are in seconds, and 0 is our own."""

    condition: str
    most: int = 0
    pause: float = 0.0
    window: float = 0.0

    def __str__(self) -> str:
        """As `restart` has it."""
        return f"{ON_FAILURE}:{self.most}" if self.condition == ON_FAILURE and self.most else self.condition

    def leaves(self, end: End) -> bool:
        """Whether an instance that ended like this is left as it is."""
        if self.condition == NO or (self.condition == ON_FAILURE and not end.code):
            return True
        return bool(self.most) and end.restarts >= self.most


def rests(policy: str, code: int | None) -> bool:
    """Whether a container that ended like this is left as it is by its policy, as `label` tells it."""
    return policy == NO or (policy.startswith(ON_FAILURE) and code == 0)


def policy_of(app: App) -> Policy:
    if told := app.restart_policy:
        condition = CONDITIONS[told.get("condition", "any")]
        pause, window = (seconds_in(told[name]) if name in told else 0.0 for name in ("delay", "window"))
        return Policy(condition, int(told.get("max_attempts", "0")), pause, window)
    condition, _, most = app.restart.partition(":")
    return Policy(condition if condition in (NO, ON_FAILURE) else ALWAYS, int(most or "0"))


def label(app: App) -> str:
    """The policy as a container tells it, "" for the usual one."""
    return str(policy_of(app)) if app.restart or app.restart_policy else ""


def recorded(app: App, record: str) -> End | None:
    """The end that was recorded, if it still counts: a changed app runs again, and so does one with another policy."""
    end = read_end(record) if record else None
    return end if end is not None and end.spec == spec_hash(app) and policy_of(app).leaves(end) else None


def why_over(app: App, end: End) -> str:
    """Why nothing is started, in words."""
    policy = policy_of(app)
    if policy.most and end.restarts >= policy.most:
        return f"it ended with code {end.code}; given up after {counted(end.restarts, 'restart')}"
    return f"it ended with code {end.code}, and its restart policy is {policy}" if end.code else DONE


def lives_after(app: App) -> float:
    """The seconds that it has to run until its earlier restarts are forgotten."""
    return policy_of(app).window or backoff.HEALTHY_AFTER


def restarts(app: App, tries: backoff.Tries | None) -> int:
    """How often an instance was started again, of which the policy allows a number: with a window, since it lived for that
    long."""
    if tries is None or tries.spec != spec_hash(app):
        return 0
    return max(0, tries.strikes - 1) if policy_of(app).window else tries.restarts
