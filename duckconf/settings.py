"""Every number and place that a person may change, with its unit, default and reason.

Defaults stand in `invoke.yml` too, where a person finds them; the environment wins over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from duckconf.addresses import split
from duckconf.errors import BadInput, Fault


@dataclass(frozen=True)
class Settings:
    """What holds for one call of a task or one run of a service."""

    inventory: str = "inventory"
    """Ansible inventory, file or folder, relative to the project. DUCKCONF_INVENTORY."""

    cluster: str = ""
    """Which cluster; "" takes `duckconf_cluster` from the inventory, then `demo`. DUCKCONF_CLUSTER."""

    api_url: str = "http://127.0.0.1:8080"
    """Where the API listens and the tasks find it. In agents mode, where several servers answer, their addresses with commas
    between them. DUCKCONF_API."""

    node_deadline: float = 2.5
    """Seconds for a node to accept a connection or to answer on an open one. A frozen node costs this, so a
    listing with one stays under 3 s; a healthy one over the sea answers in a fraction."""

    loop_interval: float = 10.0
    """Seconds between two looks of the reconciler when nothing calls for one earlier. DUCKCONF_LOOP_INTERVAL."""

    node_timeout: float = 20.0
    """Seconds without an answer or heartbeat after which a node is lost and its apps are rescheduled.
    A host that only reboots takes longer, a
    short network fault is over sooner. DUCKCONF_NODE_TIMEOUT."""

    api_threads: int = 64
    """Requests served at once. Each waits for one `docker run`, so threads are cheap and too few would queue."""

    @property
    def api_urls(self) -> tuple[str, ...]:
        """The addresses of the API, in the order in which they were given."""
        return split(self.api_url)

    def environ(self) -> dict[str, str]:
        """The variables with which a process of this cluster reads the same settings."""
        return {variable: str(getattr(self, name)) for name, variable in ENVIRONMENT.items()}


ENVIRONMENT = {
    "inventory": "DUCKCONF_INVENTORY",
    "cluster": "DUCKCONF_CLUSTER",
    "api_url": "DUCKCONF_API",
    "loop_interval": "DUCKCONF_LOOP_INTERVAL",
    "node_timeout": "DUCKCONF_NODE_TIMEOUT",
}


def read_settings(config: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Defaults, then `config` (the `duckconf:` part of invoke.yml), then the environment; raises BadInput."""
    known = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    defaults = Settings()
    for name, value in config.items():
        if name not in known:
            raise BadInput(Fault(f"invoke.yml: duckconf/{name}", f"is not a setting; known are {', '.join(known)}"))
        values[name] = _typed(f"invoke.yml: duckconf/{name}", value, getattr(defaults, name))
    for name, variable in ENVIRONMENT.items():
        if text := environ.get(variable):
            wanted = getattr(defaults, name)
            values[name] = _typed(variable, _number(text) if isinstance(wanted, float) else text, wanted)
    where = "DUCKCONF_API" if environ.get("DUCKCONF_API") else "invoke.yml: duckconf/api_url"
    for url in split(values.get("api_url", defaults.api_url)):
        if not url.startswith(("http://", "https://")):
            raise BadInput(Fault(where, f"should be http://HOST:PORT, or several with commas between, got {url!r}"))
    return Settings(**values)


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _typed(where: str, value: object, default: object) -> object:
    wanted = type(default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, wanted) and not isinstance(value, bool) and not (wanted is not str and value <= 0):  # type: ignore[operator]
        return value
    rule = {str: "text", float: "a number of seconds above 0", int: "a whole number above 0"}[wanted]
    raise BadInput(Fault(where, f"should be {rule}, got {value!r}"))
