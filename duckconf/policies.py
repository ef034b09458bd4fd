"""How an update replaces the instances of an app: what may stand in `update_config`, and what it means. Pure.

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
MOST = 10_000


@dataclass(frozen=True)
class Policy:
    """`parallelism` instances are replaced at once; `delay` and `monitor` are in seconds; `order` is "" where the app
    decides."""

    parallelism: int = 1
    delay: float = 0.0
    monitor: float = MONITOR
    failure_action: str = ROLLBACK
    order: str = ""


def policy_of(config: Mapping[str, str], replicas: int) -> Policy:
    """What a checked `update_config` means; a parallelism of 0 is all at once."""
    parallelism = int(config.get("parallelism", "1"))
    return Policy(
        parallelism or max(1, replicas),
        seconds_in(config.get("delay", "0")),
        seconds_in(config["monitor"]) if "monitor" in config else MONITOR,
        config.get("failure_action", ROLLBACK),
        config.get("order", ""),
    )


def _count(text: str) -> None:
    if not (text.isascii() and text.isdigit() and int(text) <= MOST):
        raise ValueError(f"should be a whole number from 0 (all at once) to {MOST}")


def _duration(text: str) -> None:
    seconds_in(text)


def _one_of(*words: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in words:
            raise ValueError(f"should be {', '.join(words[:-1])} or {words[-1]}")

    return check


RULES: Mapping[str, Callable[[str], None]] = {
    "parallelism": _count,
    "delay": _duration,
    "monitor": _duration,
    "failure_action": _one_of(ROLLBACK, PAUSE, CONTINUE),
    "order": _one_of(START_FIRST, STOP_FIRST),
}


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("should be text or a whole number")
    return str(value)


def _name(name: str) -> str:
    if name == "max_failure_ratio":
        return "is not supported: one instance that fails fails the update; see failure_action"
    return "" if name in RULES else f"is not a key of update_config; known are {', '.join(RULES)}"


class Settings(Pairs):
    """Names with text, each by a rule of its own."""

    def check(self, path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        before = len(faults)
        found = super().check(path, value, faults)
        for name, text in found.items() if len(faults) == before else ():
            try:
                RULES[name](text)
            except ValueError as error:
                faults.append(Fault(f"{path}/{name}", f"{error}, got {shown(text)}"))
        return found


UPDATE_KIND = Settings(_name, Word(_text, {"type": ["string", "integer"]}))
