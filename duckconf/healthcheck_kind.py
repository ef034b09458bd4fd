"""The field `healthcheck`: what may stand in it, and its options. Pure.

The keys are those of the Compose Spec, and `http` and `tcp`, which are checked from the node. It is a part of the spec: each
container keeps the check that it was made with, so that an update may change the check with the image.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from duckconf.durations import seconds_in
from duckconf.errors import Fault
from duckconf.healthcheck import check_of, command_of, http_target, test_words
from duckconf.kinds import Pairs, Word, encodable, shown

LONGEST_TEST = 4096
MOST_RETRIES = 1000
OWN = ("test", "http", "tcp")
OPTIONS: Mapping[str, str] = {
    "health-cmd": "test",
    "health-http": "http",
    "health-tcp": "tcp",
    "health-interval": "interval",
    "health-timeout": "timeout",
    "health-retries": "retries",
    "health-start-period": "start_period",
    "health-start-interval": "start_interval",
}


def _duration(text: str) -> None:
    seconds_in(text)


def _retries(text: str) -> None:
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_RETRIES):
        raise ValueError(f"should be a whole number from 1 to {MOST_RETRIES}")


def _port(text: str) -> None:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError("should be a port of the container, such as 5432")


def _flag(text: str) -> None:
    if text not in ("true", "false"):
        raise ValueError("should be true or false")


def _test(text: str) -> None:
    if len(text) > LONGEST_TEST:
        raise ValueError(f"should have at most {LONGEST_TEST} characters")
    if test_words(text)[0] != "NONE" and not (command_of(text) and command_of(text)[-1]):
        raise ValueError("should name a command after CMD or CMD-SHELL")


def _http(text: str) -> None:
    http_target(text)


RULES: Mapping[str, Callable[[str], None]] = {
    "test": _test,
    "http": _http,
    "tcp": _port,
    "interval": _duration,
    "timeout": _duration,
    "retries": _retries,
    "start_period": _duration,
    "start_interval": _duration,
    "disable": _flag,
}


def _text(value: object) -> str:
    """One text for each: a list of words as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        words = list(value)
        if not all(isinstance(word, str) and "\0" not in word and encodable(word) for word in words):
            raise ValueError("should be text or a list of texts")
        if not words or words[0] not in ("CMD", "CMD-SHELL", "NONE"):
            raise ValueError('should begin with CMD, CMD-SHELL or NONE, as in ["CMD", "curl", "-f", "http://localhost"]')
        if words[0] == "CMD-SHELL" and len(words) != 2:
            raise ValueError("should have one text after CMD-SHELL")
        return words[1] if words[0] == "CMD-SHELL" and not words[1].startswith("[") else json.dumps(words)
    if isinstance(value, (str, int)) and "\0" not in str(value) and encodable(str(value)):
        return str(value)
    raise ValueError("should be text, a whole number or a list of texts")


def _name(name: str) -> str:
    return "" if name in RULES else f"is not a key of healthcheck; known are {', '.join(RULES)}"


class Healthcheck(Pairs):
    """Names with text. A list in `test` is kept as JSON."""

    def check(self, path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        before = len(faults)
        given = {key: item for key, item in value.items() if item is not None} if isinstance(value, Mapping) else value
        found = super().check(path, given, faults)
        for name, text in found.items() if len(faults) == before else ():
            try:
                RULES[name](text)
            except ValueError as error:
                faults.append(Fault(f"{path}/{name}", f"{error}, got {shown(text)}"))
        several = [name for name in OWN if name in found]
        if len(several) > 1 and len(faults) == before:
            faults.append(Fault(f"{path}/{several[1]}", f"is another check beside {several[0]}; give one of them"))
        return found

    def schema(self) -> dict[str, Any]:
        word: dict[str, Any] = {"type": ["string", "integer", "boolean", "array"], "items": {"type": "string"}}
        return {"type": "object", "properties": dict.fromkeys(RULES, word), "additionalProperties": False}

    def plain(self, value: Mapping[str, str]) -> object:
        shapes: Mapping[str, Callable[[str], object]] = {"retries": int, "tcp": int, "disable": lambda text: text == "true"}
        listed = "test" in value and value["test"].startswith("[") and test_words(value["test"])[0] != "CMD-SHELL"
        plain = {name: shapes.get(name, str)(text) for name, text in value.items()}
        return plain | ({"test": list(test_words(value["test"]))} if listed else {})

    def meaning(self, value: Mapping[str, str]) -> object:
        """Defaults that are written out change nothing. Without a check of its own, the times are for the image's."""
        if any(name in value for name in OWN):
            check = check_of(value)
            return asdict(check) if check is not None else None
        times = check_of({**value, "test": "image"})
        return {**asdict(times), "command": "image"} if times is not None else None

    def cell(self, value: Mapping[str, str]) -> str:
        return shlex.join(f"{name}={text}" for name, text in value.items())

    def arguments(self, value: Mapping[str, str]) -> list[str]:
        """Of `--no-healthcheck`: where the app says what is checked, the engine does not run the image's check beside it."""
        return ["true"] if replaces_check(value) else []


def replaces_check(value: Mapping[str, str]) -> bool:
    """Whether the engine is to run no check, not even that of the image."""
    return own_check(value) or value.get("disable") == "true"


def own_check(value: Mapping[str, str]) -> bool:
    return any(name in value for name in OWN)


def label_of(value: Mapping[str, str]) -> str:
    """What its container's label says of the check, "" where there is none of its own."""
    wants = value and value.get("disable") != "true" and test_words(value.get("test", "x"))[0] != "NONE"
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":")) if wants else ""


HEALTH_KIND = Healthcheck(_name, Word(_text))
