"""Pictures as the API sends them, made for the tests of what is drawn of them."""

from __future__ import annotations

from typing import Any

from duckconf.events import Event
from duckconf.watching.scene import Scene, drawn
from duckconf.watching.spans import text_of
from duckconf.watching.view import View

NOW = 1000.0
EVENTS = tuple(Event("started", f"attempt {number}", app="web", node="node-1", time=900.0 + number) for number in range(20))


def picture(nodes: int = 3, each: int = 2, mode: str = "reconcile") -> dict[str, Any]:
    """`each` apps with an instance on every node; node-2 is lost."""
    found: dict[str, Any] = {
        "cluster": "demo",
        "mode": mode,
        "timeout": 20.0,
        "processes": {"api": {"state": "running"}, "reconciler": {"state": "running"}},
        "nodes": {},
        "apps": {},
        "instances": {},
        "steps": {
            "sensor": {"words": "3 nodes asked", "at": NOW - 0.5},
            "setpoint": {"words": "2 apps desired", "at": NOW - 5},
            "comparator": {"words": "1 step", "at": NOW - 5},
            "actuator": {"words": "started app-1.3", "at": NOW - 5, "node": "node-3"},
        },
        "calls": {},
        "faults": [],
    }
    for node in range(1, nodes + 1):
        lost = node == 2
        found["nodes"][f"node-{node}"] = {
            "status": "lost" if lost else "ready",
            "reason": "no answer for 30 s" if lost else "",
            "heard": NOW - (30 if lost else 2),
            "instances": each,
            "ready": 0 if lost else each,
        }
        for number in range(1, each + 1):
            name = f"app-{number}" if node == 1 else f"app-{number}.{node}"
            status = "unreachable" if lost else "running"
            one = {"app": f"app-{number}", "slot": node, "node": f"node-{node}", "status": status, "started": NOW - 60}
            found["instances"][name] = {**one, "ready": not lost, "image": "localhost/duckconf/web", "container": f"c-{name}"}
    for number in range(1, each + 1):
        found["apps"][f"app-{number}"] = {"image": "localhost/duckconf/web", "wanted": nodes, "ready": nodes - 1}
    return found


def screen(picture: dict[str, Any], view: View | None = None, columns: int = 80, rows: int = 24, **scene: Any) -> list[str]:
    """As a person reads it."""
    lines = drawn(Scene(picture, NOW, **{"events": EVENTS, **scene}), view or View(), columns, rows)
    return [text_of(line) for line in lines]
