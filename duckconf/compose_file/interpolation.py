"""Variables in the values of a compose file, as the Spec has them: `$X ${X} ${X:-y} ${X-y} ${X:?why} ${X?why} ${X:+y} ${X+y}`,
also nested, and `$$` for a dollar. Pure.

A variable that is not set and has no default is a fault: Docker goes on with a warning and nothing in its place, which makes an
empty password or a mount of `/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from duckconf.compose_file.tree import Node

NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
OPERATOR = re.compile(r":?[-?+]")
# Nobody writes as many defaults of defaults.
DEEPEST = 60
FORM = "should be $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+instead}; a dollar itself is $$"


class NotSet(ValueError):
    """A variable that must be set and is not."""


def interpolate(text: str, variables: Mapping[str, str], *, lenient: bool = False) -> str:
    """Raises ValueError for what is no variable, NotSet for one that is not set; `lenient` takes that for nothing."""
    return _Reader(text, variables, lenient).words(0, depth=0, live=True)[0]


def interpolated(node: Node, variables: Mapping[str, str]) -> Node:
    """The tree with all its values interpolated. Keys are not."""
    if isinstance(node.value, Mapping):
        return node.with_entries({key: interpolated(entry, variables) for key, entry in node.value.items()})
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(interpolated(item, variables) for item in node.value))
    if not isinstance(node.value, str) or "$" not in node.value:
        return node
    try:
        return replace(node, value=interpolate(node.value, variables))
    except ValueError as error:
        return replace(node, fault=str(error))


@dataclass(frozen=True)
class _Reader:
    text: str
    variables: Mapping[str, str]
    lenient: bool

    def words(self, start: int, *, depth: int, live: bool) -> tuple[str, int]:
        """What stands from `start` to the end, or to the brace that ends it within `depth` others, and where that was. What is
        not `live` is read and not looked up."""
        if depth > DEEPEST:
            raise ValueError(f"has variables nested deeper than {DEEPEST} levels")
        said: list[str] = []
        while start < len(self.text):
            sign = self.text[start]
            if depth and sign == "}":
                return "".join(said), start
            word, start = self._variable(start + 1, depth, live) if sign == "$" else (sign, start + 1)
            said.append(word)
        if depth:
            raise ValueError(f"has a variable without its closing brace; {FORM}")
        return "".join(said), start

    def _variable(self, start: int, depth: int, live: bool) -> tuple[str, int]:
        if self.text.startswith("$", start):
            return "$", start + 1
        braced = self.text.startswith("{", start)
        name = NAME.match(self.text, start + braced)
        if name is None:
            raise ValueError(f"has a $ that is no variable; {FORM}")
        if not braced:
            return self._value(name[0], live), name.end()
        if self.text.startswith("}", name.end()):
            return self._value(name[0], live), name.end() + 1
        operator = OPERATOR.match(self.text, name.end())
        if operator is None:
            raise ValueError(f"has a variable {name[0]} that goes on as none can; {FORM}")
        value = self.variables.get(name[0])
        there = bool(value) if operator[0].startswith(":") else value is not None
        sign = operator[0][-1]
        word, end = self.words(operator.end(), depth=depth + 1, live=live and there == (sign == "+"))
        if sign == "?" and live and not there:
            raise NotSet(f"needs the variable {name[0]}" + (f": {word}" if word else ", which is not set"))
        if sign == "+":
            return word if there else "", end + 1
        return (value or "") if there else word, end + 1

    def _value(self, name: str, live: bool) -> str:
        if live and not self.lenient and name not in self.variables:
            raise NotSet(
                f"needs the variable {name}, which is not set; set it in .env or the environment, or write ${{{name}:-}} "
                "where it may be empty"
            )
        return self.variables.get(name, "")
