"""The node-controller's part in a drain: it takes from the node one instance after the other, and the scheduler places each anew.

The old container serves until the new one does. That the node is to be emptied is on disk at the api-server, and nothing else is
kept, so that any process may be killed at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from controllers.component import Component
from duckconf.naming import app_of, instance_name, slot_of
from duckconf.overview import BACKOFF, has_no_place
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of

# Seconds until the next look while an instance is on its way: its start is no news of a node.
AGAIN = 0.5
Told = Mapping[str, Any]


def empty(component: Component, api: ApiClient, nodes: Sequence[str]) -> float | None:
    """One look at each node that is drained; seconds until the next one is due, None when nothing moves."""
    moves = False
    for node in nodes:
        told = api.call("GET", f"/apps?nodeName={node}")
        if not any(is_under_way(one) for name in told["kept"] if (one := _instance(api, name)) is not None):
            leaves = next_to_leave(told["apps"])
            if leaves is None:
                continue
            name, slot, revision = str(leaves["name"]), int(leaves.get("slot", 1)), str(leaves["revision"])
            api.call("PUT", "/apps", {"apps": [{"name": name, "slot": slot, "node": "", "revision": revision}]})
            component.log.info("%s leaves %s, which is drained", instance_name(name, slot), node)
        moves = True
    return AGAIN if moves else None


def next_to_leave(there: Sequence[Told]) -> Told | None:
    """Pure. Of the instances that are placed on the node; what has data there stays, and so does a job that is over."""
    free = [entry for entry in there if not (entry.get("ended") or entry.get("data"))]
    return min(free, key=lambda entry: (str(entry["name"]), int(entry.get("slot", 1))), default=None)


def is_under_way(instance: Told) -> bool:
    """Pure. Whether it is about to run elsewhere: one that cannot keeps nothing else from moving."""
    return instance["status"] != BACKOFF and not has_no_place(instance["status"], str(instance.get("note", "")))


def _instance(api: ApiClient, name: str) -> Told | None:
    """What is told of it, None when it should not run any more."""
    try:
        told = api.call("GET", path_of("app", app_of(name)))
    except ApiRefused as gone:
        if gone.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return next((one for one in told["instances"] if one["slot"] == slot_of(name)), None)
