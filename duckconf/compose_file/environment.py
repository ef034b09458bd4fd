"""The variables of a service: those of its `env_file`s, and its own `environment` over them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from duckconf.compose_file.loading import Reader, read_variables, within
from duckconf.compose_file.tree import Node

RAW = "raw"


def environment(service: Node, reader: Reader, known: Mapping[str, str]) -> dict[str, str]:
    """A name without a value takes that of `known`, and is left out where there is none. Raises BadInput with file and line."""
    found: dict[str, str] = {}
    files = service.get("env_file")
    for entry in (files.items or (files,)) if files else ():
        found |= _of_file(entry, reader, {**found, **known})
    own = service.get("environment")
    for name, value in (own.entries if own else {}).items():
        if value.value is not None:
            found[name] = value.text
        elif name in known:
            found[name] = known[name]
        else:
            found.pop(name, None)
    return found


def _of_file(entry: Node, reader: Reader, known: Mapping[str, str]) -> dict[str, str]:
    path, required, style = (entry.get(key) for key in ("path", "required", "format"))
    named = path or entry
    whole = within(reader, named)
    text = reader.text(whole)
    if text is None:
        if required is not None and required.text == "false":
            return {}
        raise named.refuse(f"there is no file {named.text}; with required: false, it may be missing")
    if style is not None and style.text != RAW:
        raise style.refuse(f"should be the format {RAW}, or none")
    return read_variables(whole, text, known, raw=style is not None)
