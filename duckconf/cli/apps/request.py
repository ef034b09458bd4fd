"""A start request from the words of a command line, checked before it is sent."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from duckconf.errors import BadInput, Fault
from duckconf.model import parse_app


def app_request(
    image: str,
    name: str,
    command: str,
    ports: Iterable[str],
    env: Iterable[str],
    volumes: Iterable[str],
    labels: Iterable[str],
    cpus: str,
    memory: str,
) -> dict[str, Any]:
    """The body for `POST /app/start`; raises BadInput with the option that is wrong."""
    fields = {
        "image": image,
        "name": name,
        "command": _words(command),
        "ports": list(ports),
        "env": _pairs("--env", env),
        "volumes": list(volumes),
        "labels": _pairs("--label", labels),
        "cpus": _cores(cpus),
        "memory": memory,
    }
    body = {field: value for field, value in fields.items() if value or field == "image"}
    parse_app(body)
    return body


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise BadInput(Fault("--command", f"{error} in {command!r}")) from None


def _pairs(option: str, items: Iterable[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in items]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise BadInput(Fault(option, f"should be NAME=VALUE, got {name + equals!r}"))
    return {name: value for name, _, value in pairs}


def _cores(text: str) -> float:
    try:
        return float(text) if text else 0
    except ValueError:
        raise BadInput(Fault("--cpus", f"should be a number of cores such as 0.5, got {text!r}")) from None
