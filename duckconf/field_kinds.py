"""What may stand in each field of an app: names, images, ports, volumes, sizes, cores, labels. Pure.

Each is a kind of `kinds.py` with the words of its errors. What both engines take is taken, in the form that was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckconf import long_forms
from duckconf.errors import Fault
from duckconf.kinds import TEXT, Cores, Listed, Number, Pairs, Word, Words, encodable, pattern, split, text_of
from duckconf.ports import parse_port
from duckconf.sizes import LARGEST_SIZE, size_in_bytes

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
LONGEST_IMAGE = 255
VOLUME = re.compile(r"(?:/[^:\x00]*|[a-zA-Z0-9][a-zA-Z0-9_.-]*):/[^:\x00]*(?::[a-zA-Z]+(?:,[a-zA-Z]+)*)?")
RELATIVE = re.compile(r"(?P<source>(?:\.|~|[^/:\x00]+/)[^:\x00]*):(?P<rest>/.*)", re.DOTALL)
CORES = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
ENV_NAME = re.compile(r"[^=\x00-\x1f]+")
LABEL_NAME = re.compile(r"[^=\s\x00-\x1f\x7f]+")
RESTART = re.compile(r"no|always|unless-stopped|on-failure(?::[1-9][0-9]{0,3})?")
# Docker refuses less.
SMALLEST_SIZE = 6 * 1024**2
MOST_REPLICAS = 10_000


def absolute(volume: str, folder: str) -> str:
    """The volume with its relative path taken as one in `folder`; "" when it has none."""
    match = RELATIVE.fullmatch(volume)
    if not match or match["source"].startswith("~"):
        return ""
    source = _plain(f"{folder}/{match['source']}")
    return f"{source}:{match['rest']}"


def _plain(path: str) -> str:
    """The path without `.`, `..` and repeated slashes."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return f"/{'/'.join(parts)}"


def size_kind(smallest: int = 1) -> Word:
    def read(value: object) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        size = size_in_bytes(text) if isinstance(text, str) else 0
        if 0 < size < smallest:
            raise ValueError(f"should be {smallest // 1024**2}m or more, the least that docker takes")
        if isinstance(text, str) and 0 < size <= LARGEST_SIZE:
            return text
        raise ValueError("should be a size such as 512m, 1.5g, 512MiB or a number of bytes")

    return Word(read, {"type": ["string", "integer"], "minimum": smallest}, sense=size_in_bytes)


def _cores(value: object) -> float:
    number = float(value) if isinstance(value, str) and CORES.fullmatch(value) else value
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0.01 <= number <= 1024:
        return number
    raise ValueError("should be a number of cores from 0.01 to 1024, such as 0.5")


def _replicas(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MOST_REPLICAS:
        return number
    raise ValueError(f"should be a whole number from 0 to {MOST_REPLICAS}")


def _generation(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    raise ValueError("should be a whole number from 0 on")


def _port(value: object) -> str:
    if isinstance(value, Mapping):
        return long_forms.port(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("should be text such as 8080:80, or an object with target and published")
    parse_port(str(value))
    return str(value)


class Slots(Listed):
    """One value for each slot of an app, in their order; a single one may stand without a list."""

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return super().check(path, value, faults)
        return (self.item.check(path, value, faults),)

    def cell(self, value: Sequence[Any]) -> str:
        return super().cell([str(item) for item in value])


class Generations(Slots):
    def from_cell(self, text: str) -> object:
        return [int(word) for word in split(text)]


class Ports(Listed):
    """Published ports, of which no two want the same port of the node."""

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        before = len(faults)
        texts = super().check(path, value, faults)
        if len(faults) == before:
            ports = [parse_port(text) for text in texts]
            for index, port in enumerate(ports):
                if any(port.overlaps(other) for other in ports[:index]):
                    faults.append(Fault(f"{path}/{index}", f"wants a port of the node that another one has, got {texts[index]}"))
        return texts


def _volume(value: object) -> str:
    if isinstance(value, Mapping):
        value = long_forms.volume(value)
    if isinstance(value, str) and VOLUME.fullmatch(value) and encodable(value):
        return value
    if isinstance(value, str) and encodable(value) and RELATIVE.fullmatch(value):
        proposed = absolute(value, "/srv")
        raise ValueError(f"should have the whole path on the node{f', such as {proposed}' if proposed else ''}")
    raise ValueError("should be /SOURCE:/PATH or NAME:/PATH with an optional :ro")


@dataclass(frozen=True)
class Mounts(Listed):
    """Mounts, of which no two have the same path in the container. It is the part with number `place` of the text."""

    place: int = 1

    def target(self, text: str) -> str:
        return _plain(text.split(":")[self.place])

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        before = len(faults)
        texts = super().check(path, value, faults)
        if len(faults) == before:
            targets = [self.target(text) for text in texts]
            for index, target in enumerate(targets):
                if target in targets[:index]:
                    faults.append(
                        Fault(f"{path}/{index}", f"should have another path in the container: {target} has a mount already")
                    )
        return texts


def _restart(value: object) -> str:
    """YAML reads a `no` without quotes as false."""
    text = "no" if value is False else value
    if isinstance(text, str) and RESTART.fullmatch(text):
        return text
    raise ValueError("should be no, on-failure, on-failure:N, always or unless-stopped")


def _variable(value: object) -> str:
    if value is None:
        raise ValueError("should have a value: only ./inv start-app --env-file FILE takes variables of your shell")
    return text_of(value)


def _label(value: object) -> str:
    return "" if value is None else text_of(value)


def _env_name(name: str) -> str:
    return "" if ENV_NAME.fullmatch(name) else "a variable's name should have no = and no control character"


def _label_name(name: str) -> str:
    if not LABEL_NAME.fullmatch(name):
        return "a label's name should have no =, no space and no control character"
    reserved = name == "node" or name.startswith("duckconf.")
    return "is reserved: node and duckconf.* say who owns a container" if reserved else ""


RESTART_KIND = Word(
    _restart,
    {"type": ["string", "boolean"], "pattern": f"^(?:{RESTART.pattern})$"},
    sense=lambda text: "always" if text in ("", "unless-stopped") else text,
)
NAME_KIND = pattern(NAME, "should be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")
NODES_KIND = Slots(pattern(HOST_NAME, 'should be the name of a node, or "" for none', empty=True, shape=False))
IMAGE_KIND = pattern(IMAGE, "should be an image reference such as nginx:1.25", LONGEST_IMAGE, shape=False)
GENERATIONS_KIND = Generations(Number(_generation, {"type": "integer", "minimum": 0}, blank=0))
ENDS_KIND = Slots(pattern(re.compile("[0-9a-f]{16}:[0-9]+:[0-9]+"), "should be SPEC:CODE:RESTARTS", empty=True, shape=False))
SPECS_KIND = Slots(pattern(re.compile("[0-9a-f]{16}"), "should be the hash of a spec", empty=True, shape=False))
REPLICAS_KIND = Number(_replicas, {"type": ["integer", "string"], "minimum": 0, "maximum": MOST_REPLICAS}, blank=1)
COMMAND_KIND = Words(TEXT)
ENV_KIND = Pairs(_env_name, Word(_variable, {"type": ["string", "number", "boolean"]}))
PORTS_KIND = Ports(Word(_port, {"type": ["string", "integer", "object"]}, sense=lambda port: str(parse_port(port))))
VOLUMES_KIND = Mounts(Word(_volume, {"type": ["string", "object"]}))
MEMORY_KIND = size_kind(SMALLEST_SIZE)
CORES_KIND = Cores(_cores, {"type": ["number", "string"], "minimum": 0.01, "maximum": 1024}, sense=float, blank=0)
LABELS_KIND = Pairs(_label_name, Word(_label, {"type": ["string", "number", "boolean", "null"]}))
