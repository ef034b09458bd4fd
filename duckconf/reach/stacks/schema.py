"""Checks a compose file against the Compose Spec's own JSON Schema, which lies beside this module. No fault quotes a value:
it may be a password."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from duckconf.compose_file.tree import Node, at, plain
from duckconf.errors import Fault
from duckconf.kinds import named, shown

SCHEMA = Path(__file__).with_name("compose-spec.json")
STRANGE = ("additionalProperties", "unevaluatedProperties")
TYPES: Mapping[str, str] = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@functools.cache
def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return loaded


def faults_of(model: Node) -> list[Fault]:
    """Where the file is not as the Spec has it, each with its file and line, in the order of the lines."""
    errors = [_telling(error) for error in Draft202012Validator(_schema()).iter_errors(plain(model))]
    found = {}
    for error in errors:
        path = list(error.absolute_path)
        for step, message in _words(error):
            node = at(model, [*path, *step])
            key = "/".join(map(str, [*path, *step]))
            found[Fault(str(node.place), f"{key}: {message}" if key else message)] = (node.place.file, node.place.line)
    return sorted(found, key=lambda fault: found[fault])


def _telling(error: ValidationError) -> ValidationError:
    """Of the forms that a value may have, the one that it comes closest to."""
    while error.context:
        deepest = max(len(inner.path) for inner in error.context)
        near = [inner for inner in error.context if len(inner.path) == deepest and (deepest or inner.validator != "type")]
        if not near or (deepest == 0 and len(near) > 1):
            return error
        error = min(near, key=lambda inner: inner.validator in STRANGE)
    return error


def _words(error: ValidationError) -> Iterable[tuple[list[str], str]]:
    """What is wrong, each with the rest of its path."""
    rule, instance = error.validator_value, error.instance
    if error.validator in STRANGE and isinstance(instance, Mapping):
        yield from _strange(instance, error.schema)
    elif error.validator == "required":
        missing = [key for key in rule if key not in instance]
        yield [], f"lacks the key {', '.join(missing)}"
    elif error.validator == "type":
        types = [rule] if isinstance(rule, str) else rule
        yield [], f"should be {' or '.join(TYPES[one] for one in types)}, got {named(instance)}"
    elif error.validator == "enum":
        yield [], f"should be {' or '.join(map(shown, rule))}"
    elif error.validator in ("oneOf", "anyOf"):
        types = dict.fromkeys(one for form in rule for one in _types(form))
        yield [], f"should be {' or '.join(TYPES[one] for one in types)} as the Spec has it, got {named(instance)}"
    elif error.validator == "uniqueItems":
        yield [], "has an item twice"
    else:
        yield [], f"is not as the Spec has it: {error.validator} {shown(str(rule))}"


def _strange(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterable[tuple[list[str], str]]:
    """The keys that an object may not have."""
    known, patterns = _properties(schema), [*schema.get("patternProperties", {}), "^x-"]
    for key in instance:
        if key in known or any(re.search(pattern, key) for pattern in patterns):
            continue
        near = difflib.get_close_matches(key, known, 1)
        by_name = "is a name with other signs than letters, digits, '.', '_' and '-'"
        yield [key], f"is no key of the Compose Spec{f'; is {near[0]} meant?' if near else ''}" if known else by_name


def _types(schema: Mapping[str, Any]) -> Iterable[str]:
    schema = _resolved(schema)
    types = schema.get("type", [])
    yield from [types] if isinstance(types, str) else types
    for form in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _types(form)


def _properties(schema: Mapping[str, Any]) -> Collection[str]:
    """The names that an object may have by its schema."""
    schema = _resolved(schema)
    found = set(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        found |= set(_properties(part))
    return found


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    ref = schema.get("$ref", "")
    found: Mapping[str, Any] = _schema()["$defs"][ref.rpartition("/")[2]] if ref else schema
    return found
