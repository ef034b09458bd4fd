"""How two compose files become one, by the Spec's rules: mappings are merged, lists are joined, commands are replaced, and
entries that mean the same port, mount, secret or config are one. `!reset` takes away, `!override` replaces. Pure.

`extends` merges a service onto another by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from duckconf.compose_file.tree import Node, Path

RESET, OVERRIDE = "!reset", "!override"
Key = Callable[[Node], str]
# Below a service, or below `healthcheck` and others. A list of words there is one value.
REPLACED = frozenset({"command", "entrypoint", "test"})
# Written as a list of NAME=VALUE, or as a mapping: the same.
PAIRS = frozenset({"environment", "labels", "annotations", "sysctls", "args"})
# Written as a list of names, or as a mapping of what each is given.
NAMED = frozenset({"depends_on", "networks"})


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """`over` on `base`. What the result says comes from the file that said it last."""
    if over.tag == RESET:
        return replace(over, value=None)
    if over.tag == OVERRIDE:
        return replace(over, tag="")
    key = str(path[-1]) if path else ""
    base, over = spread(base, path), spread(over, path)
    if over.value is None and not over.fault:
        return base
    if key == "extra_hosts" and isinstance(base.value, Mapping) != isinstance(over.value, Mapping):
        base, over = _hosts(base), _hosts(over)
    if base.entries or over.entries:
        return _merged_entries(base, over, path) if over.entries and base.entries else over if over.value else base
    if isinstance(base.value, tuple) and isinstance(over.value, tuple) and key not in REPLACED:
        return replace(over, value=_joined(base.items, over.items, KEYS.get(key) if is_of_service(path) else None))
    if key in LISTS and is_of_service(path) and not (base.entries or over.entries):
        return replace(over, value=_joined(_listed(base), _listed(over), None))
    return over


def without_resets(node: Node) -> Node:
    """The tree of a file that nothing is merged onto."""
    if node.tag == RESET:
        return replace(node, value=None, tag="")
    if isinstance(node.value, Mapping):
        kept = {key: without_resets(entry) for key, entry in node.value.items() if entry.tag != RESET}
        return replace(node, value=kept, tag="")
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(without_resets(item) for item in node.value if item.tag != RESET), tag="")
    return replace(node, tag="")


def is_of_service(path: Path) -> bool:
    return len(path) == 3 and path[0] == "services"


def spread(node: Node, path: Path) -> Node:
    """A list as the mapping that it stands for, where the Spec takes both."""
    key = str(path[-1]) if path else ""
    if not isinstance(node.value, tuple) or len(path) < 3:
        return node
    if key in PAIRS and all(isinstance(item.value, str) for item in node.items):
        found = [(*item.text.partition("="), item) for item in node.items]
        return node.with_entries({name: replace(item, value=value if sign else None) for name, sign, value, item in found})
    if key in NAMED and is_of_service(path) and all(isinstance(item.value, str) for item in node.items):
        if key == "networks":
            return node.with_entries({item.text: replace(item, value=None) for item in node.items})
        started = "service_started"
        return node.with_entries(
            {item.text: replace(item, value={"condition": Node(started, item.place)}) for item in node.items}
        )
    return node


def unique(node: Node, path: Path) -> Node:
    """A list in which the last entry of those that mean the same counts."""
    key = KEYS.get(str(path[-1])) if is_of_service(path) and isinstance(node.value, tuple) else None
    return replace(node, value=_joined(node.items, (), key)) if key else node


def _merged_entries(base: Node, over: Node, path: Path) -> Node:
    if path and path[-1] == "logging" and _driver(over) not in ("", _driver(base)):
        return over
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        if entry.tag == RESET:
            entries.pop(key, None)
        elif key in entries and entries[key].value is not None:
            entries[key] = merge(entries[key], entry, (*path, key))
        else:
            entries[key] = without_resets(entry)
    return replace(over, value=entries)


def _hosts(node: Node) -> Node:
    """The mapping of names to addresses that a list of NAME=ADDRESS or NAME:ADDRESS is."""
    pairs = [(re.split("[=:]", item.text, maxsplit=1), item) for item in node.items]
    found = {name: replace(item, value=address[0] if address else None) for (name, *address), item in pairs}
    return node.with_entries({**node.entries, **found})


def _driver(node: Node) -> str:
    found = node.get("driver")
    return found.text if found else ""


def _joined(base: tuple[Node, ...], over: tuple[Node, ...], key: Key | None) -> tuple[Node, ...]:
    """Without `key`, each counts; else the last with the same key, at the place of the first."""
    if key is None:
        return (*base, *over)
    found: dict[str, Node] = {}
    for item in (*base, *over):
        name = key(item)
        both = name in found and found[name].entries and item.entries
        found[name] = _merged_entries(found[name], item, ()) if both else item
    return tuple(found.values())


def _listed(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node.value, tuple) else () if node.value is None else (node,)


def _target(folder: str) -> Key:
    def key(item: Node) -> str:
        target = item.get("target")
        source = item.get("source")
        name = (target or source).text if target or source else item.text  # type: ignore[union-attr]
        return name if name.startswith("/") else f"{folder}/{name}"

    return key


def mount_target(item: Node) -> str:
    """The path in the container of an entry of `volumes`."""
    if isinstance(item.value, Mapping):
        target = item.get("target")
        return (target.text if target else "").rstrip("/") or "/"
    parts = item.text.split(":")
    return (parts[1] if len(parts) > 1 else parts[0]).rstrip("/") or "/"


def _port(item: Node) -> str:
    if not isinstance(item.value, Mapping):
        text = item.text if "/" in item.text else f"{item.text}/tcp"
        return text.removeprefix("0.0.0.0:")
    told = {name: (found.text if (found := item.get(name)) else "") for name in ("host_ip", "published", "target", "protocol")}
    before = [told["host_ip"]] if told["host_ip"] not in ("", "0.0.0.0") else []  # noqa: S104 (compared, not listened on)
    parts = [*before, *([told["published"]] if told["published"] or before else []), told["target"]]
    return f"{':'.join(parts)}/{told['protocol'] or 'tcp'}"


def _whole(item: Node) -> str:
    return item.text or repr(item)


KEYS: Mapping[str, Key] = {
    "volumes": mount_target,
    "ports": _port,
    "secrets": _target("/run/secrets"),
    "configs": _target(""),
    "expose": _whole,
    "cap_add": _whole,
    "cap_drop": _whole,
    "dns_opt": _whole,
    "group_add": _whole,
}
# One value, or a list of them.
LISTS = frozenset({"dns", "dns_search", "env_file", "label_file", "tmpfs"})
