"""A stack: the apps of one compose file, as the field `stack` says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from duckconf.errors import Conflict
from duckconf.front import claims
from duckconf.model import App
from duckconf.ports import conflict
from duckconf.spreading import host_ports

Apps = Mapping[str, App]


class Clash(NamedTuple):
    """What keeps an app of a stack from being declared: one that has its name, or a port of the node that it wants."""

    app: str
    field: str
    words: str


def of_stack(apps: Apps, stack: str) -> dict[str, App]:
    return {name: app for name, app in apps.items() if app.stack == stack}


def clashes(stack: str, wanted: Apps, declared: Apps) -> list[Clash]:
    """Apps of other stacks, and of none, may run on other nodes: with them, a port is placement's matter."""
    found = [Clash(name, "", _taken(declared[name])) for name in wanted if name in declared and declared[name].stack != stack]
    others = {name: app for name, app in declared.items() if app.stack not in ("", stack)}
    served = {name: app for name, app in declared.items() if app.stack != stack}
    for index, (name, app) in enumerate(wanted.items()):
        before = dict(list(wanted.items())[:index])
        found += [Clash(name, "ports", words) for words in _ports(app, {**before, **others})]
        taken = claims(app, {**before, **served}.values())
        found += [Clash(name, "routes", f"the route {where} leads to {other} already") for where, other in taken.items()]
    return found


def require_free(stack: str, wanted: Apps, declared: Apps) -> None:
    """Raises Conflict."""
    if found := clashes(stack, wanted, declared):
        words = "; ".join(f"{clash.app}: {clash.words}" for clash in found)
        raise Conflict(words, "change it here, or withdraw the other stack: ./inv stop-stack NAME")


def _ports(app: App, others: Apps) -> Iterator[str]:
    for other in others.values():
        port = conflict(host_ports(app), host_ports(other)) if app.on == other.on else None
        if port is not None:
            yield f"the port {port.on_node} of the node is that of {other.name}" + _of(app, other)


def _of(app: App, other: App) -> str:
    return f", which is part of the stack {other.stack}" if other.stack != app.stack else ""


def _taken(app: App) -> str:
    where = f"in the stack {app.stack}" if app.stack else "and is part of no stack"
    return f"an app of this name is declared {where}"
