"""A start request from the words of a command line, checked before it is sent. Its options are the fields of an app."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from duckconf.cli.apps.env_files import read_env_files
from duckconf.cli.terminal.edge import typed_path
from duckconf.declaration import SERVICE
from duckconf.edit import Edit
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import absolute
from duckconf.model import DECLARED, parse_app

FILES, FILES_HELP = "env_file", "a file of NAME=VALUE lines, as docker reads it; --env is stronger; may be repeated"
OPTIONS = {name: declared for name, declared in DECLARED.items() if declared.option}
# As parameters of a function.
PARAMETERS = {declared.option.replace("-", "_"): declared for declared in OPTIONS.values()}
# Options that each set one key of a field: parameter to the field, the key and the option.
PARTS = {
    option.replace("-", "_"): (name, key, option)
    for name, declared in DECLARED.items()
    for option, key in declared.options.items()
}
REPEATED = [*(name for name, declared in PARAMETERS.items() if declared.kind.repeated), FILES]
AGAIN = "; may be repeated"
# Stands for the image that is not changed, while the other options are checked.
ANY_IMAGE = "any"
HELP = {name: declared.help + (AGAIN if name in REPEATED else "") for name, declared in PARAMETERS.items()} | {FILES: FILES_HELP}
HELP |= {name: f"{key} of the field {field}" for name, (field, key, _) in PARTS.items()}


# About an app as a set of containers that somebody keeps running, and what is resolved where it is declared: of no use where one
# container runs once.
OF_SERVICE = frozenset(
    {"secret"}
    | {name for name, declared in PARAMETERS.items() if declared.part == SERVICE and not declared.flag}
    | {name for name, (field, *_) in PARTS.items() if DECLARED[field].part == SERVICE or field == "healthcheck"}
)


def takes_fields(function: Callable[..., Any], without: Collection[str] = ()) -> Callable[..., Any]:
    """The function, whose `**fields` the command line takes for one option per field of an app, but for those `without`."""
    signature = inspect.signature(function)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    switched = {name for name, declared in PARAMETERS.items() if declared.kind.empty() is False}
    defaults = {name: None if name in REPEATED else False if name in switched else "" for name in PARAMETERS}
    options = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in {**defaults, **dict.fromkeys(PARTS, ""), FILES: None}.items()
        if name not in without
    ]
    required = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
    switches = [parameter for parameter in own if parameter not in required]
    function.__signature__ = signature.replace(parameters=[*required, *options, *switches])  # type: ignore[attr-defined]
    return function


def app_edit(image: str, typed: Mapping[str, Any], unset: Iterable[str], variables: Iterable[str]) -> Edit:
    """Only what was typed; `variables` are those to take away. Raises BadInput with the option that is wrong."""
    body = app_request(image or ANY_IMAGE, typed)
    changes = body if image else {name: value for name, value in body.items() if name != "image"}
    return Edit(changes, (*unset, *(f"env.{name}" for name in variables)))


def app_request(image: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `POST /app/start` from the options as they were typed; raises BadInput with the one that is wrong."""
    body: dict[str, Any] = {"image": image}
    for name, declared in OPTIONS.items():
        if words := typed.get(declared.option.replace("-", "_")):
            try:
                body[name] = declared.kind.from_option(words)
            except ValueError as error:
                raise BadInput(Fault(f"--{declared.option}", str(error))) from None
    for parameter, (name, key, _) in PARTS.items():
        if words := typed.get(parameter):
            body[name] = {**body.get(name, {}), key: words}
    if variables := read_env_files(typed.get(FILES) or ()):
        body["env"] = {**variables, **body.get("env", {})}
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
    for field, key, option in PARTS.values():
        if (field, key) == (name, rest):
            return f"--{option}"
    if name not in OPTIONS:
        return path
    return f"--{OPTIONS[name].option}" + (f" {rest}" if rest and not rest.isdigit() else "")
