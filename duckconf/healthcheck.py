"""When an instance is healthy: its check, and the verdict as attempt follows attempt. Pure.

It imports nothing but durations: it also runs on nodes, sent there by the loop. The clock is an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from duckconf.durations import seconds_in

STARTING = "starting"
HEALTHY = "healthy"
UNHEALTHY = "unhealthy"
NO_CHECK = ""

# Of the Compose Spec and of docker.
INTERVAL = 30.0
TIMEOUT = 30.0
RETRIES = 3
START_INTERVAL = 5.0
SHORTEST = 0.1
# Docker waits a whole interval before its first attempt. Until then ours come soon after the start, and then less often.
FIRST = 0.25
LONGEST_WORDS = 300

SHELL = ("/bin/sh", "-c")
HTTP = re.compile(r"(?P<path>/[\x21-\x7e]*?)(?::(?P<port>[0-9]{1,5}))?")
HTTP_PORT = 80
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Check:
    """One of `command` (run in the container), `path` with `port` (HTTP, from the node) and `port` alone (TCP, from the node).
    Times are in seconds."""

    command: tuple[str, ...] = ()
    path: str = ""
    port: int = 0
    interval: float = INTERVAL
    timeout: float = TIMEOUT
    retries: int = RETRIES
    start_period: float = 0.0
    start_interval: float = START_INTERVAL

    @property
    def grace(self) -> float:
        """Failures within as many seconds after the start do not count: never fewer than docker would take to notice one."""
        return max(self.start_period, self.interval)


@dataclass(frozen=True)
class State:
    """The verdict, the failures in a row that count for it, the attempts so far, and what the last one said."""

    verdict: str = STARTING
    failures: int = 0
    attempts: int = 0
    words: str = ""


def after(check: Check, state: State, *, passed: bool, words: str, age: float) -> State:
    """The state after an attempt that began `age` seconds after the start of the container."""
    state = replace(state, attempts=state.attempts + 1, words=words[:LONGEST_WORDS])
    if passed:
        return replace(state, verdict=HEALTHY, failures=0)
    if state.verdict == STARTING and age < check.grace:
        return state
    failures = state.failures + 1
    verdict = UNHEALTHY if failures >= check.retries else state.verdict
    return replace(state, verdict=verdict, failures=failures)


def pause(check: Check, state: State, age: float) -> float:
    """Seconds from the end of the last attempt, or from now when there was none, to the next one."""
    if state.verdict == STARTING and age < check.grace:
        usual = max(SHORTEST, min(check.start_interval, check.interval))
        return min(FIRST * float(2 ** min(state.attempts, 16)), usual)
    return check.interval


def reason(state: State) -> str:
    """Why it is unhealthy, in one line."""
    times = f"{state.failures} times in a row" if state.failures > 1 else "once"
    return f"its check failed {times}: {state.words}"


def check_of(own: Mapping[str, str], image: Any = None) -> Optional[Check]:
    """From the field `healthcheck` and from what the engine tells of the image's HEALTHCHECK, whose words hold where the field
    has none; None for no check. Raises ValueError."""
    given = {**from_image(image), **own}
    if own.get("http") or own.get("tcp"):
        given.pop("test", None)
    command = command_of(given.get("test", ""))
    path, port = http_target(own["http"]) if own.get("http") else ("", int(own.get("tcp", "0")))
    if own.get("disable") == "true" or not (command or port):
        return None
    return Check(
        command,
        path,
        port,
        max(SHORTEST, _seconds(given, "interval", INTERVAL)),
        max(SHORTEST, _seconds(given, "timeout", TIMEOUT)),
        int(given.get("retries", "0")) or RETRIES,
        _seconds(given, "start_period", 0.0),
        _seconds(given, "start_interval", START_INTERVAL),
    )


def test_words(text: str) -> Sequence[str]:
    """The list of the Compose Spec that a `test` is: CMD or CMD-SHELL and the words after it, or NONE. Text alone is for the
    shell of the container."""
    try:
        words = json.loads(text) if text.startswith("[") else None
    except ValueError:
        words = None
    listed = words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []
    if listed and listed[0] in ("CMD", "CMD-SHELL", "NONE"):
        return listed
    return ["CMD-SHELL", text] if text else ["NONE"]


def command_of(test: str) -> tuple[str, ...]:
    kind, *words = test_words(test)
    if kind == "NONE":
        return ()
    return (*SHELL, *words) if kind == "CMD-SHELL" else tuple(words)


def http_target(text: str) -> tuple[str, int]:
    """`/up:8080` as path and port; raises ValueError with what would be right."""
    match = HTTP.fullmatch(text)
    port = int(match["port"] or HTTP_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError("should be /PATH:PORT, such as /up:8080, with a port of the container")
    return match["path"], port


def from_image(told: Any) -> dict[str, str]:
    """The HEALTHCHECK of an image as `docker inspect` has it, in the words of the field; its times are in nanoseconds."""
    test = told.get("Test") if isinstance(told, Mapping) else None
    if not isinstance(test, list) or not test or test[0] == "NONE":
        return {}
    found = {"test": json.dumps(test), "retries": str(int(told.get("Retries") or 0))}
    times = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "start_interval": "StartInterval"}
    found |= {key: f"{told[name] / 1e9:.3f}s" for key, name in times.items() if told.get(name)}
    return found


def addresses(inspected: Mapping[str, Any], port: int) -> list[tuple[str, int]]:
    """Where the node may reach a port of the container, by what `docker inspect` tells: at its own address, or at the port
    that is published (rootless engines)."""
    network = inspected.get("NetworkSettings") or {}
    if (inspected.get("HostConfig") or {}).get("NetworkMode") == "host":
        return [("127.0.0.1", port)]
    own = [network.get("IPAddress"), *(item.get("IPAddress") for item in (network.get("Networks") or {}).values())]
    found = [(address, port) for address in own if address]
    for binding in (network.get("Ports") or {}).get(f"{port}/tcp") or ():
        address = binding.get("HostIp") or "127.0.0.1"
        found.append(("127.0.0.1" if address in ("0.0.0.0", "::") else address, int(binding["HostPort"])))  # noqa: S104
    return list(dict.fromkeys(found))


def epoch(stamp: str) -> tuple[str, float, str]:
    """The parts of a time as engines write it: the seconds as text, their fraction, and the offset from UTC as `+00:00`."""
    match = STAMP.match(stamp)
    if match is None:
        raise ValueError(f"{stamp!r} is no time")
    return match[1], float(f"0.{match[2] or 0}"), "+00:00" if match[3] == "Z" else match[3]


def _seconds(given: Mapping[str, str], key: str, default: float) -> float:
    return (seconds_in(given[key]) if key in given else 0.0) or default
