"""The Compose Spec's long forms of ports, volumes, tmpfs mounts and devices, as the short forms that Duckconf keeps. Pure.

Each function takes the object of one entry and raises ValueError with what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.kinds import text_of, yes_or_no
from duckconf.ports import parse_port
from duckconf.sizes import size_in_bytes

Entry = Mapping[str, Any]


def port(entry: Entry) -> str:
    """`mode` and the two names are hints for a swarm and for other tools: a port is published where its app runs."""
    _only(entry, ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"))
    if entry.get("mode", "host") not in ("host", "ingress"):
        raise ValueError("should have the mode host or ingress")
    target, published, address = (_text(entry, key) for key in ("target", "published", "host_ip"))
    if not target:
        raise ValueError("should have target, the port in the container")
    address = f"[{address}]" if ":" in address else address
    before = f"{address}:{published}:" if address else f"{published}:" if published else ""
    return str(parse_port(f"{before}{target}/{_text(entry, 'protocol') or 'tcp'}"))


def volume(entry: Entry) -> str:
    _only(entry, ("type", "source", "target", "read_only", "consistency", "bind", "volume"))
    kind, source, target = (_text(entry, key) for key in ("type", "source", "target"))
    if kind not in ("bind", "volume"):
        raise ValueError("should have the type bind, volume or tmpfs")
    if not source or (kind == "bind") != source.startswith(("/", ".", "~")):
        raise ValueError(f"should have source, {'a path on the node' if kind == 'bind' else 'the name of a volume'}")
    if not target.startswith("/"):
        raise ValueError("should have target, a path in the container")
    options = ["ro"] if _yes(entry, "read_only") else []
    options += _bind_options(_part(entry, "bind")) if kind == "bind" else _volume_options(_part(entry, "volume"))
    return ":".join([source, target, *([",".join(options)] if options else [])])


def tmpfs(entry: Entry) -> str:
    """A volume of type tmpfs, as an entry of the field `tmpfs`."""
    _only(entry, ("type", "source", "target", "read_only", "consistency", "tmpfs"))
    target, part = _text(entry, "target"), _part(entry, "tmpfs")
    _only(part, ("size", "mode"))
    if not target.startswith("/"):
        raise ValueError("should have target, a path in the container")
    options = ["ro"] if _yes(entry, "read_only") else []
    if size := _text(part, "size"):
        if not size_in_bytes(size):
            raise ValueError("should have a tmpfs size such as 64m or a number of bytes")
        options.append(f"size={size_in_bytes(size)}")
    if "mode" in part:
        # JSON has no octal numbers: what YAML reads from 01777 is 1023.
        options.append(f"mode={part['mode']:o}" if isinstance(part["mode"], int) else f"mode={_text(part, 'mode')}")
    return ":".join([target, *([",".join(options)] if options else [])])


def device(entry: Entry) -> str:
    _only(entry, ("source", "target", "permissions"))
    source, target, permissions = (_text(entry, key) for key in ("source", "target", "permissions"))
    if not source:
        raise ValueError("should have source, a device of the node")
    parts = [source, target or (source if permissions else ""), permissions]
    return ":".join(part for part in parts if part)


def _bind_options(part: Entry) -> list[str]:
    _only(part, ("propagation", "create_host_path", "selinux"))
    if not _yes(part, "create_host_path", default=True):
        raise ValueError("should not have create_host_path: the engine decides. Docker creates the path, podman refuses the app")
    return [option for option in (_text(part, "propagation"), _text(part, "selinux")) if option]


def _volume_options(part: Entry) -> list[str]:
    _only(part, ("nocopy",))
    return ["nocopy"] if _yes(part, "nocopy") else []


def _only(entry: Entry, known: tuple[str, ...]) -> None:
    for key in entry:
        if key not in known and not str(key).startswith("x-"):
            raise ValueError(f"has {key}, which is not supported here; known are {', '.join(known)}")


def _part(entry: Entry, key: str) -> Entry:
    part = entry.get(key) or {}
    if not isinstance(part, Mapping):
        raise ValueError(f"should have an object for {key}")
    return part


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key)
    try:
        return "" if value is None else text_of(value)
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def _yes(entry: Entry, key: str, *, default: bool = False) -> bool:
    try:
        return yes_or_no(entry.get(key, default))
    except ValueError:
        raise ValueError(f"should have true or false for {key}") from None
