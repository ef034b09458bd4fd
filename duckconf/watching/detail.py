"""The line of `watch` that says more of what is chosen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.watching.said import short_name, state_of
from duckconf.watching.spans import DIM, Line, Span, ago
from duckconf.watching.view import APPS, NODES, View, chosen_in

Part = Mapping[str, Any]


def detail(picture: Part, view: View, now: float) -> Line:
    name = chosen_in(picture, view)
    if not name:
        return ()
    part: Part = picture[view.pane][name]
    told = {NODES: _node, APPS: _app}.get(view.pane, _instance)(part, now)
    return (Span(f" {short_name(name, picture.get('mode', ''))}: {'; '.join(filter(None, told))}", DIM),)


def _node(node: Part, _: float) -> list[str]:
    cordoned = "drains" if node.get("draining") else "cordoned: it gets no new apps" if node.get("cordoned") else ""
    zone = f"zone {node['zone']}" if node.get("zone") else ""
    return [str(node.get("status", "")), str(node.get("reason", "")), cordoned, zone]


def _app(app: Part, _: float) -> list[str]:
    stack = f"of stack {app['stack']}" if app.get("stack") else ""
    everywhere = "on every node" if app.get("everywhere") else ""
    revision = f"revision {app['revision']}" if app.get("revision") else ""
    return [str(app.get("image", "")), revision, stack, everywhere, str(app.get("rollout", ""))]


def _instance(one: Part, now: float) -> list[str]:
    started = f"started {ago(now - one['started'])} ago" if one.get("started") else ""
    surplus = "nobody asks for it" if one.get("surplus") else "of an earlier revision" if one.get("outdated") else ""
    health = f"health {one['health']}" if one.get("health") else ""
    return [
        state_of(one),
        str(one.get("note", "")),
        surplus,
        started,
        health,
        ", ".join(one.get("ports", ())),
        str(one.get("image", "")),
    ]
