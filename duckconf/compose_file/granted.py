"""The `configs` and `secrets` of a service, as uses of secrets of the cluster. Pure.

A config's name there has a digest of its content, as that of a file beside the compose file has. A secret's name has none: it
would help to guess the value. Its revision, which nobody can compute without the cluster's salt, rolls it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.compose_file.beside import Carried, Mounted, carried_name
from duckconf.compose_file.loading import Reader, within
from duckconf.compose_file.stack import Stack
from duckconf.compose_file.tree import Node, plain

SECRETS = "secrets"
MADE_ELSEWHERE = ("driver", "template_driver")


def granted(part: str, item: Node, stack: Stack, reader: Reader, known: Mapping[str, str]) -> Mounted:
    """The use of one entry of `part`, and what the cluster must know for it. Raises BadInput."""
    source = item.get("source") or item
    declared = stack.declared(part, source.text)
    if declared is None:
        raise item.refuse(f"{source.text or 'it'} is not declared in {part} of the file")
    entry: dict[str, Any] = plain(item) if isinstance(item.value, Mapping) else {}
    target = entry.get("target") or (source.text if part == SECRETS else f"/{source.text}")
    external, name = declared.get("external"), declared.get("name")
    if external is not None and external.text != "false":
        if part != SECRETS:
            raise declared.refuse("the cluster keeps no configs; give file or content")
        return Mounted((), ({**entry, "source": name.text if name else source.text, "target": target},))
    content = _content(part, source.text, declared, reader, known)
    kept = f"{stack.name}.{source.text}" if part == SECRETS else carried_name(stack, source.text, content)
    return Mounted((), ({**entry, "source": kept, "target": target},), (Carried(kept, content, part == SECRETS),))


def _content(part: str, name: str, declared: Node, reader: Reader, known: Mapping[str, str]) -> bytes:
    file, text, variable = (declared.get(key) for key in ("file", "content", "environment"))
    for key in MADE_ELSEWHERE:
        if (found := declared.get(key)) is not None:
            raise found.refuse(f"Duckconf has no {key} for {part}")
    if text is not None:
        return text.text.encode()
    if variable is not None:
        if variable.text not in known:
            raise variable.refuse(f"needs the variable {variable.text}, which is not set")
        return known[variable.text].encode()
    if file is None:
        raise declared.refuse(f"{part}/{name} should have file, {'environment' if part == SECRETS else 'content'} or external")
    files = reader.files(within(reader, file))
    if files is None or len(files) != 1 or files[0][0]:
        raise file.refuse(f"{part}/{name}: there is no file {file.text}")
    return files[0][1]
