"""Which app a front serves under which address, and from where: the instances that are ready now. Pure.

A container counts, not an instance: during an update the old and the new one of an instance may both serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, NamedTuple

from duckconf.durations import seconds_in
from duckconf.front_kinds import Route, host_port, inner_port, parse_route
from duckconf.healthcheck import http_target
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.net_address import with_port


class Copy(NamedTuple):
    """A container that is ready, on a node that answers; `ports` as the engine published them."""

    app: str
    slot: int
    node: str
    container: str
    ports: tuple[str, ...]


class Upstream(NamedTuple):
    """`address` is HOST:PORT, as a front reaches the container."""

    instance: str
    node: str
    container: str
    address: str


class Serving(NamedTuple):
    """An address, the app that it leads to, and the containers that serve it, in the order of their addresses. `check` is a path
    that a front may ask each of them to see whether it lives, "" where the app names none, and `within` the seconds that the app
    allows for the answer, 0 where it says nothing."""

    route: Route
    app: str
    upstreams: tuple[Upstream, ...]
    check: str = ""
    within: float = 0.0


def servings(apps: Iterable[App], copies: Iterable[Copy], address_of: Callable[[str], str]) -> list[Serving]:
    """By host, those of every name in a domain last, and of one host the longest path first. Of two apps with one address, the
    first by name has it."""
    by_app: dict[str, list[Copy]] = {}
    for copy in copies:
        by_app.setdefault(copy.app, []).append(copy)
    found: dict[str, Serving] = {}
    for app in sorted(apps, key=lambda app: app.name):
        for route in map(parse_route, app.routes):
            inside = inner_port(route, app.ports, app.network_mode)
            upstreams = [_upstream(app, copy, inside, address_of) for copy in by_app.get(app.name, ())]
            ordered = sorted((one for one in upstreams if one is not None), key=lambda one: one.address)
            check = _check(app, inside)
            within = seconds_in(app.healthcheck.get("timeout", "0s")) if check else 0.0
            found.setdefault(route.where, Serving(route, app.name, tuple(ordered), check, within))
    return sorted(found.values(), key=_turn)


def _turn(serving: Serving) -> tuple[bool, str, int, str]:
    route = serving.route
    return route.host.startswith("*."), route.host, -len(route.path), route.path


def _upstream(app: App, copy: Copy, inside: int, address_of: Callable[[str], str]) -> Upstream | None:
    """None for a container that was made before the port was published."""
    instance = instance_name(copy.app, copy.slot)
    if app.network_mode == "host":
        return Upstream(instance, copy.node, copy.container, with_port(address_of(copy.node), inside))
    port = host_port(inside, copy.ports)
    if port is None or port.host is None:
        return None
    # What a node reports must not lead a front to itself: an address that means another machine on each is that of the node.
    address = port.address if port.address and not _is_of_each_machine(port.address) else address_of(copy.node)
    return Upstream(instance, copy.node, copy.container, with_port(address, port.host))


def _is_of_each_machine(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    return found.is_loopback or found.is_link_local or found.is_unspecified


def _check(app: App, inside: int) -> str:
    """Of its health check, where that is a request to the port that the route leads to."""
    text = app.healthcheck.get("http", "")
    path, port = http_target(text) if text and app.healthcheck.get("disable") != "true" else ("", 0)
    return path if port == inside else ""


def claims(app: App, others: Iterable[App]) -> Mapping[str, str]:
    """The addresses of the app that another one has already, with its name."""
    taken = {parse_route(text).where: other.name for other in others if other.name != app.name for text in other.routes}
    return {where: taken[where] for text in app.routes if (where := parse_route(text).where) in taken}


def to_json(serving: Serving) -> dict[str, Any]:
    return {
        "host": serving.route.host,
        "path": serving.route.path or "/",
        "app": serving.app,
        "upstreams": [one._asdict() for one in serving.upstreams],
        "check": serving.check,
        "within": serving.within,
    }


def from_json(entry: Mapping[str, Any]) -> Serving:
    """Raises KeyError, TypeError or ValueError for what is none."""
    route = parse_route(f"{entry['host']}{entry['path']}")
    upstreams = tuple(Upstream(**upstream) for upstream in entry["upstreams"])
    return Serving(route, str(entry["app"]), upstreams, str(entry.get("check", "")), float(entry.get("within", 0.0)))


def revision(found: Iterable[Serving]) -> str:
    """Changes with the routes and with what serves them."""
    return sha256(repr([(str(one.route), one.app, one.upstreams, one.check, one.within) for one in found]).encode()).hexdigest()[
        :16
    ]
