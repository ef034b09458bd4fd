"""Apps that share the network namespace of another one's container: `network_mode: service:APP`. Pure. `sharers.py` keeps them
together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duckconf.errors import Fault
from duckconf.naming import SHARED_MODE

if TYPE_CHECKING:
    from duckconf.model import App


def owner_of(app: App) -> str:
    """The app whose network it shares, "" for one with a network of its own."""
    return shared(app.network_mode)


def shared(mode: str) -> str:
    return mode[len(SHARED_MODE) :] if mode.startswith(SHARED_MODE) else ""


def faults_in(values: Mapping[str, Any]) -> list[Fault]:
    """What an app without a network of its own cannot have."""
    owner = shared(values.get("network_mode", ""))
    if not owner:
        return []
    own = [name for name in ("ports", "hostname", "dns", "extra_hosts", "aliases") if values.get(name)]
    found = [Fault(name, f"is a matter of {owner}, whose network it shares; give it there") for name in own]
    asked = [key for key in ("http", "tcp") if key in values.get("healthcheck", {})]
    return [*found, *(Fault(f"healthcheck/{key}", "needs an address of its own, and it has none; use test") for key in asked)]
