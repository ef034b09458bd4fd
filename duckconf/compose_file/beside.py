"""What a service mounts: volumes of the engine, paths of the node, and files that lie beside the compose file. Pure.

A file beside the compose file is brought to the cluster as a secret is: its name has a digest of what is in it, so that another
content is another spec, which is rolled out. A folder without files is data: it becomes a volume of the node.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from duckconf.compose_file.loading import Reader, within
from duckconf.compose_file.stack import Stack
from duckconf.compose_file.tree import Node, plain

STRANGE = re.compile(r"[^a-zA-Z0-9_.-]+")
BIND, VOLUME = "bind", "volume"


@dataclass(frozen=True)
class Carried:
    """What must be known to the cluster under this name before the app is declared. A `secret` has a name that says nothing
    of its value, so that it may change."""

    name: str
    content: bytes
    secret: bool = False

    def __repr__(self) -> str:
        return f"Carried({self.name})"


@dataclass(frozen=True)
class Mounted:
    """`volumes` and `uses` (of secrets) are words of the app's fields."""

    volumes: tuple[Any, ...] = ()
    uses: tuple[Any, ...] = ()
    carried: tuple[Carried, ...] = ()


def mounted(item: Node, stack: Stack, reader: Reader) -> Mounted:
    """One entry of `volumes`. Raises BadInput."""
    kind, source, target, options = _parts(item)
    if kind not in (BIND, VOLUME):
        return Mounted((plain(item),))
    if not source.text:
        raise item.refuse("a volume without a name is lost with its container; give it one")
    if kind == VOLUME:
        return Mounted((_entry(item, volume_name(stack, source), target, options),))
    if source.text.startswith("/"):
        return Mounted((plain(item),))
    path = within(reader, source)
    files = reader.files(path)
    if files is None and _is_read_only(item, options):
        raise source.refuse(f"there is no {source.text}, and nobody could write into a volume in its place")
    if files is None:
        name = f"{stack.name}_{_word(posixpath.relpath(path, reader.root))}"
        return Mounted((_entry(item, name, target, options),))
    carried = tuple(Carried(carried_name(stack, relative or path, content), content) for relative, content, _ in files)
    where = [posixpath.normpath(posixpath.join(target, relative)) for relative, _, _ in files]
    return Mounted((), tuple(f"{one.name}:{at},mode={mode:04o}" for one, at, (*_, mode) in zip(carried, where, files)), carried)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def carried_name(stack: Stack, what: str, content: bytes) -> str:
    """A valid name of a secret that no other content has."""
    return f"{stack.name}.{_word(posixpath.basename(what))[-8:].strip('.-_')}.{digest(content)}"


def volume_name(stack: Stack, source: Node) -> str:
    """The name on the engine, as Docker Compose gives it. Raises BadInput for one that is made in a way of its own."""
    declared = stack.declared("volumes", source.text)
    if declared is None:
        raise source.refuse(f"{source.text} is not declared in volumes of the file")
    driver, more = declared.get("driver"), declared.get("driver_opts")
    if more is not None and more.entries:
        raise more.refuse("Duckconf makes no volumes with options of a driver; mount it on the nodes, and name its path")
    if driver is not None and driver.text != "local":
        raise driver.refuse("the nodes' engines have the driver local; mount it on the nodes, and name its path")
    name, external = declared.get("name"), declared.get("external")
    if name is not None:
        return name.text
    return source.text if external is not None and external.text != "false" else f"{stack.name}_{source.text}"


def _parts(item: Node) -> tuple[str, Node, str, list[str]]:
    """Kind, source, target and options of an entry."""
    if isinstance(item.value, Mapping):
        told, named, where = (item.get(key) for key in ("type", "source", "target"))
        return told.text if told else "", named or replace(item, value=""), where.text if where else "", []
    source, target, *options = [*item.text.split(":"), ""][: max(2, item.text.count(":") + 1)]
    if not target:
        source, target = "", source
    kind = BIND if source.startswith(("/", ".", "~")) or "/" in source else VOLUME
    return kind, replace(item, value=source), target, options


def _is_read_only(item: Node, options: list[str]) -> bool:
    told = item.get("read_only")
    return (told is not None and told.text == "true") or "ro" in ",".join(options).split(",")


def _entry(item: Node, source: str, target: str, options: list[str]) -> Any:
    if not isinstance(item.value, Mapping):
        return ":".join([source, target, *(",".join(option for option in options if option) for _ in range(bool(options)))])
    kept = {key: plain(value) for key, value in item.entries.items() if key != BIND}
    return {**kept, "type": VOLUME, "source": source}


def _word(path: str) -> str:
    return STRANGE.sub("-", path).strip("-.") or "files"
