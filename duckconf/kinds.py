"""The kinds of value that an app's fields have: how each is read, written, compared and described. Pure.

A value comes as JSON (`check`), as a cell of the state file (`from_cell`) or as words of a command line (`from_option`),
and leaves as a cell (`cell`), as arguments of the engine (`arguments`) or as a schema (`schema`). `model.py` declares
which field has which kind.
"""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckconf.errors import Fault


class Kind(ABC):
    """One kind of value. The base of all, for values that are one word."""

    repeated = False
    """Whether its option may stand several times on a command line."""

    @abstractmethod
    def check(self, path: str, value: object, faults: list[Fault]) -> Any:
        """The value from decoded JSON; what is wrong goes to `faults`, each with its path."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema of it, as OpenAPI takes it."""

    @abstractmethod
    def empty(self) -> Any:
        """The value of a field that was not given."""

    def plain(self, value: Any) -> object:
        """The value as JSON, which `check` takes."""
        return value

    def meaning(self, value: Any) -> object:
        """Equal for two values that make the same container."""
        return value

    def cell(self, value: Any) -> str:
        return str(value) if value else ""

    def from_cell(self, text: str) -> object:
        """What `check` takes; raises ValueError that quotes what was wrong."""
        return text.strip()

    def from_option(self, typed: Any) -> object:
        """What `check` takes; raises ValueError that quotes what was wrong."""
        return typed

    def arguments(self, value: Any) -> list[str]:
        """What its flag of the engine is given: once for each."""
        return [self.cell(value)]


@dataclass(frozen=True)
class Word(Kind):
    """A value that `read` makes of decoded JSON, or raises ValueError with what would be right."""

    read: Callable[[object], Any]
    form: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    sense: Callable[[Any], object] = lambda value: value
    blank: Any = ""

    def check(self, path: str, value: object, faults: list[Fault]) -> Any:
        try:
            return self.read(value)
        except ValueError as error:
            faults.append(Fault(path, f"{error}, got {shown(value)}{_length(value)}"))
            return self.blank

    def schema(self) -> dict[str, Any]:
        return dict(self.form)

    def empty(self) -> Any:
        return self.blank

    def meaning(self, value: Any) -> object:
        return self.sense(value)


class Flag(Word):
    """Yes or no; no is as if it was not given."""

    def cell(self, value: Any) -> str:
        return "true" if value else ""


class Number(Word):
    """A whole number, which a state file has as text."""

    def cell(self, value: Any) -> str:
        return str(value)

    def from_cell(self, text: str) -> object:
        return int(text)


class Cores(Word):
    """A number that the engine reads too."""

    def arguments(self, value: Any) -> list[str]:
        return [f"{value:g}"]


@dataclass(frozen=True)
class Listed(Kind):
    """A list of words, each of the same kind. In a cell they stand as a shell would split them. Where `one` may stand for
    the list, JSON has it as text."""

    item: Word
    one: bool = False
    repeated = True

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        if self.one and isinstance(value, str):
            return (self.item.check(path, value, faults),)
        if isinstance(value, (list, tuple)):
            return tuple(self.item.check(f"{path}/{index}", item, faults) for index, item in enumerate(value))
        faults.append(Fault(path, f"should be a list of strings, got {named(value)}"))
        return ()

    def schema(self) -> dict[str, Any]:
        listed = {"type": "array", "items": self.item.schema()}
        return {"oneOf": [listed, {"type": "string"}]} if self.one else listed

    def empty(self) -> Any:
        return ()

    def plain(self, value: Sequence[Any]) -> object:
        return list(value)

    def meaning(self, value: Sequence[Any]) -> object:
        return [self.item.meaning(item) for item in value]

    def cell(self, value: Sequence[str]) -> str:
        return shlex.join(value)

    def from_cell(self, text: str) -> object:
        return split(text)

    def arguments(self, value: Sequence[str]) -> list[str]:
        return list(value)


class Words(Listed):
    """A command line: one option has all its words, and so may one text."""

    repeated = False

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        try:
            return super().check(path, split(value) if isinstance(value, str) else value, faults)
        except ValueError as error:
            faults.append(Fault(path, str(error)))
            return ()

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [super().schema(), {"type": "string"}]}

    def from_option(self, typed: Any) -> object:
        return split(typed)


@dataclass(frozen=True)
class Pairs(Kind):
    """Names with values, as an object or as a list of `NAME=VALUE`. `refuse` says why a name cannot be used, "" when it can;
    `item` reads a value, which is None for a name alone."""

    refuse: Callable[[str], str]
    item: Word
    repeated = True

    def check(self, path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        if isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
            value = {name: item if equals else None for name, equals, item in (word.partition("=") for word in value)}
        if not isinstance(value, Mapping):
            faults.append(Fault(path, f'should be an object or a list such as ["NAME=VALUE"], got {named(value)}'))
            return {}
        for name in value:
            reason = self.refuse(name) if isinstance(name, str) and encodable(name) else "should be text"
            if reason:
                faults.append(Fault(f"{path}/{shown(name)}", reason))
        return {str(name): self.item.check(f"{path}/{shown(name)}", item, faults) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        mapping = {"type": "object", "additionalProperties": self.item.schema()}
        return {"oneOf": [mapping, {"type": "array", "items": {"type": "string"}}]}

    def empty(self) -> Any:
        return {}

    def plain(self, value: Mapping[str, str]) -> object:
        return dict(value)

    def meaning(self, value: Mapping[str, str]) -> object:
        return {name: self.item.meaning(item) for name, item in value.items()}

    def cell(self, value: Mapping[str, str]) -> str:
        return shlex.join(self.arguments(value))

    def from_cell(self, text: str) -> object:
        return self.from_option(split(text))

    def from_option(self, typed: Any) -> object:
        pairs = [word.partition("=") for word in typed]
        for name, equals, _ in pairs:
            if not (name and equals):
                raise ValueError(f"should be NAME=VALUE, got {name + equals!r}")
        return {name: value for name, _, value in pairs}

    def arguments(self, value: Mapping[str, str]) -> list[str]:
        return [f"{name}={item}" for name, item in value.items()]


def pattern(expression: re.Pattern[str], rule: str, longest: int = 0, *, empty: bool = False, shape: bool = True) -> Word:
    """A word that the whole expression matches; its schema shows the expression if it has the `shape` for that."""

    def read(value: object) -> str:
        fits = isinstance(value, str) and (not longest or len(value) <= longest)
        if isinstance(value, str) and fits and (expression.fullmatch(value) or (empty and not value)):
            return value
        raise ValueError(rule)

    form: dict[str, Any] = {"type": "string"}
    form |= {"maxLength": longest} if longest else {}
    form |= {"pattern": f"^(?:{expression.pattern})$"} if shape else {}
    return Word(read, form)


def split(text: str) -> list[str]:
    """The words as a shell would see them; raises ValueError."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{error} in {text!r}") from None


def encodable(value: str) -> bool:
    """Half of a surrogate pair is legal in JSON and in no file name, argument or variable."""
    return value.isprintable() or not any("\ud800" <= char <= "\udfff" for char in value)


def shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return text if len(text) <= 70 else text[:67] + "..."


def named(value: object) -> str:
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), "an object")


def _length(value: object) -> str:
    return f" ({len(value)} characters)" if isinstance(value, str) and len(value) > 63 else ""


def text_of(value: object) -> str:
    """A scalar of JSON as text, as YAML writes it; raises ValueError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str) and "\0" not in value and encodable(value):
        return value
    raise ValueError("should be text without a NUL character")


def _text(value: object) -> str:
    return text_of(value if isinstance(value, str) else None)


def yes_or_no(value: object) -> bool:
    """Raises ValueError."""
    if isinstance(value, bool) or value in ("true", "false"):
        return value is True or value == "true"
    raise ValueError("should be true or false")


TEXT = Word(_text)
FLAG = Flag(yes_or_no, {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]}, blank=False)
