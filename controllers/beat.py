"""What a heartbeat tells of a node: its containers, and the instances that have none for now with the reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from duckconf.codec import runs_as
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.overview import BACKOFF, STARTING, AppView

Entry = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})


def entries(
    containers: Sequence[Container],
    views: Sequence[AppView],
    wanted: Mapping[str, Instance] = NOTHING,
    words: Mapping[str, str] = NOTHING,
) -> list[Entry]:
    """One for each container, and for each instance that has none. `wanted` are the instances that should run here, `words` what
    those that failed printed last: a failure is told once they are known."""
    by_name = {view.container: view for view in views if view.container}
    told = [_of_container(item, by_name.get(item.name), wanted.get(item.instance), words) for item in containers if item.app]
    there = {container.name for container in containers}
    for name, view in sorted(by_name.items()):
        if name not in there and view.state in (STARTING, BACKOFF):
            told.append(_of_view(view) | _failure(view, words))
    return told


def _of_container(container: Container, view: AppView | None, instance: Instance | None, words: Mapping[str, str]) -> Entry:
    known_better = view is not None and not container.running and (view.state in (STARTING, BACKOFF) or view.end)
    entry: Entry = {
        "app": container.app,
        "container": container.name,
        "image": container.image,
        "image_id": container.image_id,
        "state": view.state if view is not None and known_better else container.state,
        "spec": _spec(container, instance),
        "generation": container.generation,
        "started": container.started,
        "restarts": view.restarts if view is not None else 0,
        "note": view.note if view is not None else "",
        "ports": list(container.ports),
        "slot": container.slot,
        "health": container.health,
        # A copy that should run elsewhere, or nowhere, serves for as long as it is here.
        "ready": view is not None and (view.ready if view.desired == "yes" else container.ready and not view.leaving),
        **({"leaving": True} if view is not None and view.leaving else {}),
    }
    if view is None:
        return entry
    return entry | ({"end": view.end} if view.end else {}) | _failure(view, words)


def _spec(container: Container, instance: Instance | None) -> str:
    """What it was made from; what is asked for where that means the same in other words."""
    same = instance is not None and runs_as(instance.app, container.spec, container.manifest)
    return instance.spec if same and instance is not None else container.spec


def _of_view(view: AppView) -> Entry:
    entry: Entry = {"app": view.app, "container": view.container, "image": view.image, "state": view.state, "spec": ""}
    entry |= {"generation": 0, "started": 0.0, "restarts": view.restarts, "note": view.note, "ports": [], "slot": view.slot}
    return entry | {"health": "", "ready": False}


def _failure(view: AppView, words: Mapping[str, str]) -> Entry:
    if not view.failure or view.instance not in words:
        return {}
    return {"failed": view.spec, "failure": view.failure, "said": words[view.instance]}
