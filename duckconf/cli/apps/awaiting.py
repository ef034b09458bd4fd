"""Waits until all instances of an app run, by the events and what the API shows; ends early where waiting is of no use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from duckconf.cli.cluster.nodes import Cluster
from duckconf.errors import DuckconfError
from duckconf.healthcheck import HEALTHY, NO_CHECK
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.overview import BACKOFF, PENDING
from duckconf.placement import UNHEARD, names_silent
from duckconf.reach.api.client import ApiClient, path_of
from duckconf.reach.nodes.parallel import ask_all
from duckconf.restart import ALWAYS, DONE, is_end, policy_of

RUNNING = "running"
# A first start may pull its image.
PATIENCE = 600.0
HELD = 25.0
# Until it shows whether a failed start is held back or goes on elsewhere.
SETTLED = 1.0
# A start that is held back for as long was tried before, and its failure is no news.
STALE = 5.0
# That a node may be silent for and come back, before it is told that no other node fits.
SILENCE = 20.0
# Between an event and the API's word for it.
SHOWN = 0.2
# The end of a job may be shown after its event.
SHOWN_LATE = 2.0


def await_instances(api: ApiClient, app: str, cursor: str, *, starts: bool) -> dict[str, Any]:
    """Follow the events after `cursor` until every instance of the app is ready; returns the app as the API shows it then. A node
    that refuses an instance is passed over. With `starts`, nothing is taken for running before one was started.

    Raises DuckconfError when no node takes an instance, with the reason of each, or when a start is held back.
    """
    end, failed, begun, held_since = time.monotonic() + PATIENCE, "", not starts, float("inf")
    silent, silent_until = "", float("inf")
    entry: dict[str, Any] = {}
    while time.monotonic() < end:
        entry = api.call("GET", path_of("app", app))
        if begun and is_all_there(entry):
            return entry
        if begun:
            _require_none_failed(entry)
        held_back = next((one for one in entry["instances"] if one["status"] == BACKOFF), None)
        held_since = min(held_since, time.monotonic()) if held_back is not None else float("inf")
        if held_back is not None and (failed or time.monotonic() - held_since > STALE):
            raise _not_started(app, failed or held_back.get("note", "it is held back"))
        if time.monotonic() > silent_until and any(one["status"] == PENDING for one in entry["instances"]):
            raise _not_started(app, silent)
        held = SETTLED if failed else STALE if held_back is not None else SHOWN if begun else SILENCE if silent else HELD
        page = api.call("GET", f"/events?since={cursor}&wait={held:g}")
        cursor = page["cursor"]
        for event in [event for event in page["events"] if event.get("app") == app]:
            # A loop that has just begun decides as soon as it has heard the others, or given them up.
            if event["kind"] == "pending" and names_silent(event["message"]):
                silent, silent_until = event["message"], min(silent_until, time.monotonic() + SILENCE)
            elif event["kind"] == "pending" and UNHEARD not in event["message"]:
                raise _not_started(app, event["message"])
            if event["kind"] == "unhealthy":
                raise DuckconfError(event["message"], f"it is restarted; see `./inv ps`, or withdraw it: ./inv stop-app {app}")
            if event["kind"] == "started":
                begun, silent, silent_until = True, "", float("inf")
            failed = event["message"] if event["kind"] == "failed" else failed
    remedy = "see `./inv ps` and `./inv logs reconciler`"
    raise DuckconfError(f"{app}: {ready(entry)} instances run after {PATIENCE:g} s", remedy)


def await_end(api: ApiClient, entry: dict[str, Any]) -> dict[str, Any]:
    """Follow the events until every instance of a job, as the API shows it, is over; returns it as it is then. Raises
    DuckconfError with the exit code of one that has failed."""
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    while True:
        entry = api.call("GET", path_of("app", entry["name"]))
        _require_none_failed(entry)
        if all(one["status"] == DONE for one in entry["instances"]):
            return entry
        cursor = api.call("GET", f"/events?since={cursor}&wait={SHOWN_LATE:g}")["cursor"]


def _require_none_failed(entry: Mapping[str, Any]) -> None:
    over = next((one for one in entry["instances"] if _has_failed(one)), None)
    if over is not None:
        name = instance_name(entry["name"], over["slot"])
        raise DuckconfError(": ".join(filter(None, (name, over["status"], over.get("note", "")))), f"see `./inv logs {name}`")


def await_settled(cluster: Cluster, entry: Mapping[str, Any]) -> None:
    """Return when each instance of the app, as the API shows it, has stayed up for a second; raises DuckconfError with the last
    words of one that has not."""
    nodes = {
        instance["container"]: instance["node"]
        for instance in entry["instances"]
        if instance.get("container") and instance.get("status") != DONE
    }
    may_end = may_be_over(entry)

    def wait(container: str) -> None:
        cluster.await_running(nodes[container], container, may_end=may_end)

    for found in ask_all(nodes, wait).values():
        if isinstance(found, DuckconfError):
            raise found


def where(entry: Mapping[str, Any]) -> str:
    """In one line, where the instances of an app run."""
    instances = entry["instances"]
    if len(instances) == 1:
        verb = "is done" if instances[0]["status"] == DONE else "runs"
        return f"{entry['name']} {verb} on {instances[0]['node']}"
    places = ", ".join(f"{instance_name(entry['name'], one['slot'])} on {one['node']}" for one in instances)
    verb = "are done" if instances and all(one["status"] == DONE for one in instances) else "run"
    return f"{entry['name']}: {ready(entry)} instances {verb}" + (f": {places}" if places else "")


def ready(entry: Mapping[str, Any]) -> str:
    """Of an app as the API shows it: how many instances are done, or run and are not unhealthy or yet to be checked, of how many
    that should."""
    return f"{_ready(entry)}/{len(entry['instances'])}"


def is_all_there(entry: Mapping[str, Any]) -> bool:
    return _ready(entry) == len(entry["instances"])


def _ready(entry: Mapping[str, Any]) -> int:
    return sum(
        instance["status"] == DONE or (instance["status"] == RUNNING and instance.get("health", NO_CHECK) in (NO_CHECK, HEALTHY))
        for instance in entry["instances"]
    )


def _has_failed(instance: Mapping[str, Any]) -> bool:
    return is_end(instance["status"]) and instance["status"] != DONE


def is_job(entry: Mapping[str, Any]) -> bool:
    """Whether its end is what is wanted: it may end, and nobody is served by it meanwhile."""
    return may_be_over(entry) and not any(entry.get(field) for field in ("ports", "routes", "healthcheck"))


def may_be_over(entry: Mapping[str, Any]) -> bool:
    """Whether the end of one of its containers may be what was wanted."""
    policy = policy_of(App("x", restart=entry.get("restart", ""), restart_policy=entry.get("restart_policy", {})))
    return policy.condition != ALWAYS


def _not_started(app: str, why: str) -> DuckconfError:
    return DuckconfError(f"{app} is declared: {why}; this is tried again", f"to withdraw it: ./inv stop-app {app}")
