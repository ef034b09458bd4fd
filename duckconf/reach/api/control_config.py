"""The configuration of the control plane's services: one JSON file that the role `control_plane` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from duckconf.errors import SetupError
from duckconf.rebalancing import MANUAL
from duckconf.sites import Sites

REMEDY = "the role `control_plane` writes it"


@dataclass(frozen=True)
class EtcdConfig:
    """The members of the etcd that keeps the state, as URLs, and the paths of a client's CA, certificate and key ("": no TLS)."""

    endpoints: tuple[str, ...]
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True)
class ControlConfig:
    """`listen` is where the API serves, `api_url` where scheduler and node-controller find it. Times are in seconds. `zones` has
    the zone of each node that has one, and `groups` every group of the inventory with its hosts. `edges` are the nodes that run
    the front of the cluster; `edge_addresses` has where that reaches each node, `addresses` where a front of somebody else does.
    `rebalance` is manual or auto. With `etcd` the state is kept there, beside other servers, and this one is called `server`
    among them; without, in files of `state_dir`."""

    cluster: str
    nodes: tuple[str, ...]
    tokens_file: str
    operator_token_file: str
    listen: str = "http://127.0.0.1:8080"
    api_url: str = "http://127.0.0.1:8080"
    state_dir: str = "/var/lib/duckconf"
    names: tuple[str, ...] = ()
    node_timeout: float = 20.0
    interval: float = 10.0
    zones: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[str, ...] = ()
    edge_addresses: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rebalance: str = MANUAL
    certificate: str = ""
    key: str = ""
    ca_file: str = ""
    server: str = ""
    etcd: EtcdConfig | None = None

    @property
    def sites(self) -> Sites:
        return Sites(self.nodes, self.zones, self.groups)


def read_control_config(path: Path) -> ControlConfig:
    """Raises SetupError that says what is wrong with the file."""
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        known = {item.name for item in fields(ControlConfig)}
        unknown = sorted(set(content) - known)
        if unknown:
            raise SetupError(f"{path}: {', '.join(unknown)} is not a setting; known are {', '.join(sorted(known))}")
        values = _values(content)
        if values.get("etcd") is not None:
            values["etcd"] = EtcdConfig(**_values(values["etcd"]))
            if not values["etcd"].endpoints or not values.get("server"):
                raise SetupError(f"{path}: etcd needs its endpoints and the name of this server", REMEDY)
        return ControlConfig(**values)
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"{path} cannot be read: {error}", REMEDY) from error


def _values(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
