"""How an update replaces the instances of an app, and whether what ended is started again: what may stand in `update_config`
and `restart_policy`, and what the first means. Pure. `restart.py` knows what the second means.

The names and forms are those of the Compose Spec. The defaults differ where its defaults cost availability: `order` is
start-first where the app allows it, and `failure_action` is rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from duckconf.durations import seconds_in
from duckconf.errors import Fault
from duckconf.kinds import Pairs, Word, shown

START_FIRST = "start-first"
STOP_FIRST = "stop-first"
ROLLBACK = "rollback"
PAUSE = "pause"
CONTINUE = "continue"
MONITOR = 5.0
# Of Nomad. An image that is pulled over a slow line takes minutes.
HEALTHY_DEADLINE = 300.0
MOST = 10_000


@dataclass(frozen=True)
class Policy:
    """`parallelism` instances are replaced at once; `delay`, `monitor` and `healthy_deadline` are in seconds, and so is the last
    one 0 where the app decides; `order` is "" where it does."""

    parallelism: int = 1
    delay: float = 0.0
    monitor: float = MONITOR
    failure_action: str = ROLLBACK
    order: str = ""
    healthy_deadline: float = 0.0


def policy_of(config: Mapping[str, str], replicas: int) -> Policy:
    """What a checked `update_config` means; a parallelism of 0 is all at once."""
    parallelism = int(config.get("parallelism", "1"))
    return Policy(
        parallelism or max(1, replicas),
        seconds_in(config.get("delay", "0")),
        seconds_in(config["monitor"]) if "monitor" in config else MONITOR,
        config.get("failure_action", ROLLBACK),
        config.get("order", ""),
        seconds_in(config.get("healthy_deadline", "0")),
    )


def _count(text: str) -> None:
    if not (text.isascii() and text.isdigit() and int(text) <= MOST):
        raise ValueError(f"should be a whole number from 0 (all at once) to {MOST}")


def _attempts(text: str) -> None:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST):
        raise ValueError(f"should be a whole number from 1 to {MOST}")


def _duration(text: str) -> None:
    seconds_in(text)


def _deadline(text: str) -> None:
    if not seconds_in(text):
        raise ValueError("should be longer than 0s")


def _one_of(*words: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in words:
            raise ValueError(f"should be {', '.join(words[:-1])} or {words[-1]}")

    return check


Rules = Mapping[str, Callable[[str], None]]

UPDATE_RULES: Rules = {
    "parallelism": _count,
    "delay": _duration,
    "monitor": _duration,
    "failure_action": _one_of(ROLLBACK, PAUSE, CONTINUE),
    "order": _one_of(START_FIRST, STOP_FIRST),
    "healthy_deadline": _deadline,
}


RESTART_RULES: Rules = {
    "condition": _one_of("none", "on-failure", "any"),
    "max_attempts": _attempts,
    "delay": _duration,
    "window": _duration,
}


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("should be text or a whole number")
    return str(value)


def _name(name: str) -> str:
    if name == "max_failure_ratio":
        return "is not supported: one instance that fails fails the update; see failure_action"
    return "" if name in UPDATE_RULES else f"is not a key of update_config; known are {', '.join(UPDATE_RULES)}"


def _restart_name(name: str) -> str:
    return "" if name in RESTART_RULES else f"is not a key of restart_policy; known are {', '.join(RESTART_RULES)}"


@dataclass(frozen=True)
class Settings(Pairs):
    """Names with text, each by a rule of its own."""

    rules: Rules

    def check(self, path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        before = len(faults)
        found = super().check(path, value, faults)
        for name, text in found.items() if len(faults) == before else ():
            try:
                self.rules[name](text)
            except ValueError as error:
                faults.append(Fault(f"{path}/{name}", f"{error}, got {shown(text)}"))
        return found


_SETTING = Word(_text, {"type": ["string", "integer"]})
UPDATE_KIND = Settings(_name, _SETTING, UPDATE_RULES)
RESTART_KIND = Settings(_restart_name, _SETTING, RESTART_RULES)
