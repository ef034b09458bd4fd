"""The app: what a user asks for. Each field is declared once, here; everything else about fields derives from it:
validation and its error paths, the API's schema, the options of `start-app`, the columns of the state file, the engine's
arguments and docs/fields.md.

`parse_app` is the only way in for data from outside (HTTP bodies, state files); it reports every fault at once,
each with its path. An `App` that exists is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from duckconf import field_kinds as kinds
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import HOST_NAME as HOST_NAME
from duckconf.field_kinds import NAME as NAME
from duckconf.kinds import Kind, named, shown

# A change of the spec makes new containers; a change of the other parts replaces none.
SPEC = "spec"
SERVICE = "service"
PLACED = "placed"


@dataclass(frozen=True)
class Declaration:
    """One field. `option` is the option of `start-app`, `flag` that of the engine; "" if there is none. `part` says what it
    is about: the container (SPEC), the app as a set of containers (SERVICE), or where it runs (PLACED)."""

    kind: Kind
    help: str
    example: object
    option: str = ""
    flag: str = ""
    part: str = SPEC


def _is(*args: Any, **more: Any) -> dict[str, Declaration]:
    return {"declaration": Declaration(*args, **more)}


@dataclass(frozen=True)
class App:
    """One container that should run. A field that was not given is empty or 0. For limits, 0 means no limit.

    `node` and `generation` are its placement where that is part of the state (agents mode): "" is not placed, and the
    higher generation is the newer decision. They are not part of its spec.
    """

    image: str = field(metadata=_is(kinds.IMAGE_KIND, "an OCI image reference", "nginx:1.25"))
    name: str = field(
        default="",
        metadata=_is(
            kinds.NAME_KIND,
            "an RFC 1123 label. Default: app-N. Required in agents mode, not allowed in push mode",
            "web",
            "name",
            part=SERVICE,
        ),
    )
    command: tuple[str, ...] = field(
        default=(),
        metadata=_is(kinds.COMMAND_KIND, "replaces the command of the image", ["sh", "-c", "echo hello"], "command"),
    )
    env: Mapping[str, str] = field(
        default_factory=dict, metadata=_is(kinds.ENV_KIND, "NAME=VALUE", {"MODE": "fast"}, "env", "--env")
    )
    ports: tuple[str, ...] = field(
        default=(),
        metadata=_is(
            kinds.PORTS_KIND,
            "[IP:]HOST:CONTAINER, also ranges such as 8000-8002:80-82, optionally with /udp or /sctp. With CONTAINER alone, "
            "the engine chooses the port of the node",
            ["8081:80"],
            "port",
            "--publish",
        ),
    )
    volumes: tuple[str, ...] = field(
        default=(),
        metadata=_is(
            kinds.VOLUMES_KIND,
            "/SOURCE:/PATH (a path on the node) or NAME:/PATH (a volume of its engine), optionally with :ro",
            ["data:/var/lib/data"],
            "volume",
            "--volume",
        ),
    )
    cpus: float = field(default=0, metadata=_is(kinds.CORES_KIND, "limit in cores", 0.5, "cpus", "--cpus"))
    memory: str = field(
        default="",
        metadata=_is(
            kinds.SIZE_KIND,
            "limit in bytes, or with a unit: k, m, g, MiB (powers of 1024); at least 6m",
            "512m",
            "memory",
            "--memory",
        ),
    )
    labels: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_is(kinds.LABELS_KIND, "NAME=VALUE; node and duckconf.* are reserved", {"team": "web"}, "label", "--label"),
    )
    node: str = field(default="", metadata=_is(kinds.NODE_KIND, "where it is placed", "node-1", part=PLACED))
    generation: int = field(
        default=0, metadata=_is(kinds.GENERATION_KIND, "the revision of the placement; the highest is current", 7, part=PLACED)
    )


DECLARED: Mapping[str, Declaration] = {item.name: item.metadata["declaration"] for item in fields(App)}
DEFAULTS: Mapping[str, Any] = {
    item.name: item.default_factory() if item.default_factory is not MISSING else item.default for item in fields(App)
}
FIELDS = tuple(name for name, declared in DECLARED.items() if declared.part != PLACED)
SPEC_FIELDS = tuple(name for name, declared in DECLARED.items() if declared.part == SPEC)
PLACEMENT = tuple(name for name, declared in DECLARED.items() if declared.part == PLACED)


def parse_app(data: object, *, placed: bool = False) -> App:
    """An App from decoded JSON, with its placement when `placed`; raises BadInput with one Fault for each thing wrong."""
    known = (*FIELDS, *PLACEMENT) if placed else FIELDS
    if not isinstance(data, Mapping):
        raise BadInput(Fault("", f'should be an object such as {{"image": "nginx"}}, got {named(data)}'))
    faults = [Fault(shown(key), f"is not a field of an app; known are {', '.join(known)}") for key in data if key not in known]
    values = {name: DECLARED[name].kind.check(name, data[name], faults) for name in known if name in data}
    if "image" not in data:
        faults.append(Fault("image", 'is missing; should be an image reference such as "nginx:1.25"'))
    if faults:
        raise BadInput(*faults)
    return App(**values)
