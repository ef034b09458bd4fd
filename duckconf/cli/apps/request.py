"""A start request from the words of a command line, checked before it is sent. Its options are the fields of an app."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from duckconf.cli.terminal.edge import typed_path
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import absolute
from duckconf.model import DECLARED, parse_app

OPTIONS = {name: declared for name, declared in DECLARED.items() if declared.option}
REPEATED = [declared.option for declared in OPTIONS.values() if declared.kind.repeated]
AGAIN = "; may be repeated"
HELP = {declared.option: declared.help + (AGAIN if declared.kind.repeated else "") for declared in OPTIONS.values()}


def takes_fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose `**fields` the command line takes for one option per field of an app."""
    signature = inspect.signature(function)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            declared.option, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None if declared.kind.repeated else ""
        )
        for declared in OPTIONS.values()
    ]
    required = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
    switches = [parameter for parameter in own if parameter not in required]
    function.__signature__ = signature.replace(parameters=[*required, *options, *switches])  # type: ignore[attr-defined]
    return function


def app_request(image: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `POST /app/start` from the options as they were typed; raises BadInput with the one that is wrong."""
    body: dict[str, Any] = {"image": image}
    for name, declared in OPTIONS.items():
        if words := typed.get(declared.option):
            try:
                body[name] = declared.kind.from_option(words)
            except ValueError as error:
                raise BadInput(Fault(f"--{declared.option}", str(error))) from None
    for volume in body.get("volumes", ()):
        if proposed := absolute(volume, typed_path(".")):
            raise BadInput(Fault("--volume", f"should have the whole path on the node, such as {proposed}, got {volume}"))
    try:
        parse_app(body)
    except BadInput as bad:
        raise BadInput(*(Fault(_option(fault.path), fault.message) for fault in bad.faults)) from None
    return body


def _option(path: str) -> str:
    """`ports/0` as the option that a person typed."""
    name, _, rest = path.partition("/")
    if name not in OPTIONS:
        return path
    return f"--{OPTIONS[name].option}" + (f" {rest}" if rest and not rest.isdigit() else "")
