"""What may stand in the field `routes`: the addresses under which a front (a reverse proxy) serves an app. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from duckconf.errors import Fault
from duckconf.kinds import Listed, Word
from duckconf.ports import HIGHEST, Port, parse_port

FORM = "should be HOST[/PATH][=PORT] such as shop.example.org/api=8080; PORT is that of the container"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ROUTE = re.compile(
    rf"(?P<host>(?:\*\.)?{LABEL}(?:\.{LABEL})*)(?P<path>(?:/[A-Za-z0-9._~%:@!$&'()+,;-]*)*)(?:=(?P<port>[1-9][0-9]{{0,4}}))?"
)
LONGEST_HOST = 253
LOOPBACK = re.compile(r"127\..*|::1")


@dataclass(frozen=True, order=True)
class Route:
    """`host` in lower case, perhaps `*.` and the rest; `path` is "" or begins with / and does not end with it, and means all that
    lies below it. A `port` of None is the only one that the app publishes."""

    host: str
    path: str = ""
    port: Optional[int] = None

    def __str__(self) -> str:
        return self.where + (f"={self.port}" if self.port is not None else "")

    @property
    def where(self) -> str:
        return f"{self.host}{self.path}"


def parse_route(text: object) -> Route:
    """Raises ValueError with what would be right."""
    host, slash, rest = text.partition("/") if isinstance(text, str) else ("", "", "")
    match = ROUTE.fullmatch(f"{host.lower()}{slash}{rest}")
    port = int(match["port"]) if match and match["port"] else None
    if not match or len(match["host"]) > LONGEST_HOST or (port or 1) > HIGHEST:
        raise ValueError(FORM)
    return Route(match["host"], re.sub("/+", "/", match["path"]).rstrip("/"), port)


def inner_port(route: Route, ports: Sequence[str], network_mode: str) -> int:
    """The port of the container that the route leads to. Raises ValueError with what would be right."""
    if network_mode == "host":
        if route.port is None:
            raise ValueError("should name the port with =PORT: with network_mode host none is published")
        return route.port
    published = [port for port in map(parse_port, ports) if port.protocol == "tcp"]
    inside = {port.inside + at: port for port in published for at in range(port.count)}
    if route.port is None and len(inside) == 1:
        found = next(iter(inside))
    elif route.port is not None and route.port in inside:
        found = route.port
    elif not inside:
        raise ValueError(f"needs a published port: add {route.port or 80} to ports, and the engine chooses one of the node")
    else:
        known = ", ".join(map(str, sorted(inside)))
        raise ValueError(f"should name a port that the app publishes, with =PORT: {known}")
    if LOOPBACK.fullmatch(inside[found].address):
        raise ValueError(f"cannot lead to {found}, which only the node itself reaches; publish it without the loopback address")
    return found


def host_port(inside: int, published: Iterable[str]) -> Optional[Port]:
    """What an engine published for this port of a container, with the one port of the node; None when it did not."""
    for port in map(parse_port, published):
        if port.protocol == "tcp" and port.host is not None and port.inside <= inside < port.inside + port.count:
            return Port(inside, port.host + inside - port.inside, port.address)
    return None


def faults_in(values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the routes of an app beside its other fields."""
    found = []
    routes = [parse_route(text) for text in values.get("routes", ())]
    twice = {where for where, count in Counter(route.where for route in routes).items() if count > 1}
    for index, route in enumerate(routes):
        try:
            inner_port(route, values.get("ports", ()), values.get("network_mode", ""))
        except ValueError as error:
            found.append(Fault(f"routes/{index}", str(error)))
        if route.where in twice:
            found.append(Fault(f"routes/{index}", f"stands twice: {route.where}"))
    return found


def _text(value: object) -> str:
    return str(parse_route(value))


ROUTES_KIND = Listed(Word(_text), one=True)
