"""`./inv routes` and `./inv export`: what fronts serve now, for a person, and as the configuration of somebody's own front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.errors import NotFound
from duckconf.front import Serving, from_json
from duckconf.front_configs import caddyfile, haproxy
from duckconf.inventory import Host
from duckconf.naming import host_container
from duckconf.patterns import some_of
from duckconf.reach.inventory.project import Project

COLUMNS = ("route", "app", "ready", "upstreams")
EMPTY = "no app has a route; to give one: ./inv update web --route shop.example.org"
NO_FRONT = (
    "no node runs the front: put one into the group edge of the inventory and type ./inv up MODE (docs/front.md), "
    "or serve the routes with a front of your own: ./inv export caddy"
)
FORMS: Mapping[str, Callable[[Sequence[Serving]], str]] = {"caddy": caddyfile, "haproxy": haproxy}


def routes(project: Project, *, as_json: bool) -> None:
    told = _told(project)
    if as_json:
        print_json(told)
        return
    rows = [
        {
            "route": one.route.where,
            "app": one.app,
            "ready": str(len(one.upstreams)),
            "upstreams": some_of([upstream.address for upstream in one.upstreams]),
        }
        for one in map(from_json, told)
    ]
    print_table(rows, COLUMNS, EMPTY)
    if rows:
        say_fronts(project)


def say_fronts(project: Project) -> None:
    """Which nodes run the front, or what to do when none does."""
    inventory = project.inventory()
    for name in inventory.edges:
        say(f"the front runs on {name}{_published(project, inventory.hosts[name])}")
    if not inventory.edges:
        say(NO_FRONT)


def _published(project: Project, host: Host) -> str:
    """Of a demo host, where this machine reaches it."""
    if not host.demo:
        return ""
    engine, container = LocalEngine(project.root), host_container(project.cluster, host.name)
    found = {name: engine.run("port", container, port).stdout.strip() for name, port in (("http", "80"), ("https", "443"))}
    words = ", ".join(f"{name} {where}" for name, where in found.items() if where)
    return f" ({words})" if words else f"; type ./inv up {mode_of(project)} to have it there"


def export(project: Project, form: str) -> None:
    """`form` is one of FORMS."""
    print(FORMS[form]([from_json(entry) for entry in _told(project)]), end="")


def _told(project: Project) -> Sequence[Mapping[str, object]]:
    if mode_of(project) == PUSH:
        raise NotFound("push mode has no routes: nobody knows there what is ready", "see ./inv up reconcile")
    told: Sequence[Mapping[str, object]] = api_client(project).call("GET", "/routes")["routes"]
    return told
