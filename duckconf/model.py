"""The app: what a user asks for, checked field by field.

`parse_app` is the only way in for data from outside (HTTP bodies, state files); it reports every fault at once,
each with its path. An `App` that exists is valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from duckconf.errors import BadInput, Fault

# RFC 1123 label: also a valid container name, DNS name and file name.
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What a node's name becomes part of: container names, labels, files.
HOST_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
# The grammar of the OCI distribution reference: [host[:port]/]path[:tag][@digest].
IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})?"
)
PORT = re.compile(r"(?:(?P<ip>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<host>[0-9]{1,5}):(?P<inside>[0-9]{1,5})(?:/(?:tcp|udp))?")
VOLUME = re.compile(r"(?:/[^:\x00]*|[a-zA-Z0-9][a-zA-Z0-9_.-]*):/[^:\x00]*(?::[a-zA-Z]+(?:,[a-zA-Z]+)*)?")
MEMORY = re.compile(r"[1-9][0-9]*[bkmg]?")
ENV_NAME = re.compile(r"[^=\x00-\x1f]+")
LABEL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/-]*")
LONGEST_IMAGE = 255


@dataclass(frozen=True)
class App:
    """One container that should run. Ports are `[IP:]HOST:CONTAINER[/tcp|udp]`, volumes `SOURCE:/PATH[:ro]`,
    `cpus` is in cores, `memory` in bytes or with a unit k, m, g; 0 and "" mean no limit.

    `node` and `generation` are its placement where that is part of the state (agents mode): "" is not placed, and the
    higher generation is the newer decision. They are not part of its spec.
    """

    image: str
    name: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    cpus: float = 0
    memory: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    node: str = ""
    generation: int = 0


PLACEMENT = ("node", "generation")
FIELDS = tuple(item.name for item in fields(App) if item.name not in PLACEMENT)


def parse_app(data: object, *, placed: bool = False) -> App:
    """An App from decoded JSON, with its placement when `placed`; raises BadInput with one Fault for each thing wrong."""
    known = (*FIELDS, *PLACEMENT) if placed else FIELDS
    if not isinstance(data, Mapping):
        raise BadInput(Fault("", f'should be an object such as {{"image": "nginx"}}, got {_kind(data)}'))
    faults = [Fault(_shown(key), f"is not a field of an app; known are {', '.join(known)}") for key in data if key not in known]
    values: dict[str, Any] = {}
    for name, check in CHECKS.items():
        if name in data and name in known:
            values[name] = check(name, data[name], faults)
    if "image" not in data:
        faults.append(Fault("image", 'is missing; should be an image reference such as "nginx:1.25"'))
    if faults:
        raise BadInput(*faults)
    return App(**values)


def _name(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    rule = "should be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
    length = f" ({len(value)} characters)" if isinstance(value, str) and len(value) > 63 else ""
    faults.append(Fault(path, f"{rule}, got {_shown(value)}{length}"))
    return ""


def _image(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and len(value) <= LONGEST_IMAGE and IMAGE.fullmatch(value):
        return value
    faults.append(Fault(path, f"should be an image reference such as nginx:1.25, got {_shown(value)}"))
    return ""


def _node(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and (not value or HOST_NAME.fullmatch(value)):
        return value
    faults.append(Fault(path, f'should be the name of a node, or "" for none, got {_shown(value)}'))
    return ""


def _generation(path: str, value: object, faults: list[Fault]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    faults.append(Fault(path, f"should be a whole number from 0 on, got {_shown(value)}"))
    return 0


def _memory(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and MEMORY.fullmatch(value):
        return value
    faults.append(Fault(path, f'should be a size such as "512m" or "2g", got {_shown(value)}'))
    return ""


def _cpus(path: str, value: object, faults: list[Fault]) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0.01 <= value <= 1024:
        return value
    faults.append(Fault(path, f"should be a number of cores from 0.01 to 1024, got {_shown(value)}"))
    return 0


def _port(path: str, value: object, faults: list[Fault]) -> str:
    match = PORT.fullmatch(value) if isinstance(value, str) else None
    if match and all(0 < int(match[part]) < 65536 for part in ("host", "inside")) and _address(match["ip"]):
        return match[0]
    faults.append(Fault(path, f"should be HOST:CONTAINER, each 1 to 65535, such as 8080:80, got {_shown(value)}"))
    return ""


def _address(ip: str | None) -> bool:
    if ip is None or ip.startswith("["):
        return True
    parts = ip.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _volume(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and VOLUME.fullmatch(value) and _encodable(value):
        return value
    faults.append(Fault(path, f"should be /SOURCE:/PATH or NAME:/PATH with an optional :ro, got {_shown(value)}"))
    return ""


def _text(path: str, value: object, faults: list[Fault]) -> str:
    if isinstance(value, str) and "\0" not in value and _encodable(value):
        return value
    faults.append(Fault(path, f"should be text without a NUL character, got {_shown(value)}"))
    return ""


def _list(of: Callable[[str, object, list[Fault]], str]) -> Callable[[str, object, list[Fault]], tuple[str, ...]]:
    def check(path: str, value: object, faults: list[Fault]) -> tuple[str, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(of(f"{path}/{index}", item, faults) for index, item in enumerate(value))
        faults.append(Fault(path, f"should be a list of strings, got {_kind(value)}"))
        return ()

    return check


def _mapping(key: re.Pattern[str], rule: str) -> Callable[[str, object, list[Fault]], dict[str, str]]:
    def check(path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        if not isinstance(value, Mapping):
            faults.append(Fault(path, f"should be an object of strings, got {_kind(value)}"))
            return {}
        for name in value:
            if not (isinstance(name, str) and key.fullmatch(name) and _encodable(name)):
                faults.append(Fault(f"{path}/{_shown(name)}", rule))
        return {str(name): _text(f"{path}/{_shown(name)}", item, faults) for name, item in value.items()}

    return check


def _labels(path: str, value: object, faults: list[Fault]) -> dict[str, str]:
    labels = _mapping(LABEL_NAME, "a label's name should be letters, digits and . _ / -")(path, value, faults)
    for name in labels:
        if name == "node" or name.startswith("duckconf."):
            faults.append(Fault(f"{path}/{name}", "is reserved: node and duckconf.* say who owns a container"))
    return labels


def _encodable(value: str) -> bool:
    """Half of a surrogate pair is legal in JSON and in no file name, argument or variable."""
    return value.isprintable() or not any("\ud800" <= char <= "\udfff" for char in value)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return text if len(text) <= 70 else text[:67] + "..."


def _kind(value: object) -> str:
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return kinds.get(type(value), "an object")


CHECKS: Mapping[str, Callable[[str, object, list[Fault]], object]] = {
    "image": _image,
    "name": _name,
    "command": _list(_text),
    "env": _mapping(ENV_NAME, "a variable's name should have no = and no control character"),
    "ports": _list(_port),
    "volumes": _list(_volume),
    "cpus": _cpus,
    "memory": _memory,
    "labels": _labels,
    "node": _node,
    "generation": _generation,
}
