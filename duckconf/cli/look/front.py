"""`./inv routes` and `./inv export`: what fronts serve now, for a person, and as the configuration of somebody's own front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.errors import NotFound
from duckconf.front import Serving, from_json
from duckconf.front_configs import caddyfile, haproxy
from duckconf.patterns import some_of
from duckconf.reach.inventory.project import Project

COLUMNS = ("route", "app", "ready", "upstreams")
EMPTY = "no app has a route; to give one: ./inv update web --route shop.example.org"
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


def export(project: Project, form: str) -> None:
    """`form` is one of FORMS."""
    print(FORMS[form]([from_json(entry) for entry in _told(project)]), end="")


def _told(project: Project) -> Sequence[Mapping[str, object]]:
    if mode_of(project) == PUSH:
        raise NotFound("push mode has no routes: nobody knows there what is ready", "see ./inv up reconcile")
    told: Sequence[Mapping[str, object]] = api_client(project).call("GET", "/routes")["routes"]
    return told
