"""A drain in agents mode: the real API and the real decisions of node-controller and scheduler, between agents that do as
they are told."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask

from controllers.component import Component
from controllers.draining import empty, is_under_way, next_to_leave
from controllers.scheduler import Scheduler
from duckconf.events import Event
from duckconf.overview import UNDECIDED
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.api.control_config import ControlConfig
from tests.api.agents_api import NODES, Client, app, found_by_the_next
from tests.api.test_api_push import problem
from tests.api.test_rebalance_agents import World

__all__ = ["app"]


class Drained(World):
    """The cluster with what decides about it, which is called by hand."""

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = Client(self.app, "op")(method, path, body)
        if answer.status_code >= 300:
            raise ApiRefused(answer.status_code, answer.json or {})
        return answer.json or {}

    def tell(self, _: Any, events: Collection[Event]) -> None:
        told = [{"kind": one.kind, "message": one.message, "app": one.app, "instance": one.instance} for one in events]
        self.call("POST", "/events", {"events": told})

    def decide(self, *nodes: str) -> float | None:
        component = cast(Component, SimpleNamespace(log=logging.getLogger("drain"), tell=self.tell))
        due = empty(component, cast(ApiClient, self), nodes)
        Scheduler(component, ControlConfig("demo", NODES, "", "")).once(cast(ApiClient, self))
        return due

    def drain(self, node: str, times: int = 20) -> float | None:
        """Until nothing moves any more."""
        self.call("PUT", f"/node/{node}", {"draining": True})
        due = self.agents().decide(node)
        for _ in range(times):
            due = self.agents().decide(node)
        return due


@pytest.fixture
def world(app: Flask) -> Drained:
    found = Drained(app)
    for number in range(6):
        found.declare(f"a{number}", NODES[number % 2])
    found.agents().agents()
    found.floor = 99
    return found


def test_one_after_the_other_leaves_and_runs_elsewhere_before_its_old_copy_ends(world: Drained) -> None:
    world.call("PUT", "/node/node-1", {"draining": True})
    moved = []
    while world.decide("node-1") is not None:
        told = world.call("GET", "/apps?nodeName=node-1")
        moved += told["kept"]
        assert len(told["kept"]) <= 1, told
        world.agents()
    assert list(dict.fromkeys(moved)) == ["a0", "a2", "a4"]
    world.agents()
    assert (world.running["node-1"], world.floor, sum(world.counts())) == ({}, 6, 6)


def test_one_that_cannot_go_anywhere_stays_and_keeps_nothing_else_from_moving(world: Drained) -> None:
    world.declare("b", "node-1", on="node-1")
    world.agents().agents()
    world.drain("node-1")
    assert [*world.running["node-1"]] == ["b"]
    (one,) = world.call("GET", "/app/b")["instances"]
    assert (one["status"], one["node"], "cordoned" in one["note"]) == ("pending", "", True), one
    world.call("PUT", "/node/node-1", {"cordoned": False})
    assert world.agents().decide() is None
    assert [*world.agents().running["node-1"]] == ["b"]


def test_one_that_does_not_come_up_elsewhere_serves_where_it_is(world: Drained) -> None:
    world.broken = ("node-2", "node-3")
    world.drain("node-1")
    assert {"a0", "a2", "a4"} <= world.running["node-1"].keys()
    assert world.floor == 6


def test_what_is_drained_is_cordoned_and_on_disk_until_the_node_is_open_again(world: Drained, tmp_path: Path) -> None:
    def kept() -> tuple[bool, bool]:
        node = found_by_the_next(tmp_path).nodes.of("node-1")
        return node.cordoned, node.draining

    assert world.call("PUT", "/node/node-1", {"draining": True})["draining"]
    assert kept() == (True, True)
    world.call("PUT", "/node/node-1", {"cordoned": True})
    assert kept() == (True, True)
    world.call("PUT", "/node/node-1", {"cordoned": False})
    assert kept() == (False, False)
    kinds = [event["kind"] for event in world.call("GET", "/events")["events"] if event.get("node") == "node-1"]
    assert [kind for kind in kinds if kind in ("draining", "cordoned", "uncordoned")] == ["draining", "uncordoned"]


@pytest.mark.parametrize("wanted", [{"draining": False}, {"draining": 1}, {"draining": True, "cordoned": True}])
def test_another_wish_is_refused(app: Flask, wanted: object) -> None:
    answer = problem(Client(app, "op")("PUT", "/node/node-1", wanted), 422)
    assert "draining" in answer["detail"]
    alone = isinstance(wanted, dict) and len(wanted) == 1
    assert answer["errors"][0]["path"] == ("draining" if alone else "cordoned")


def test_what_has_data_or_is_over_does_not_leave() -> None:
    there: list[dict[str, Any]] = [
        {"name": "db", "data": "/srv"},
        {"name": "job", "ended": "0"},
        {"name": "web", "slot": 2},
        {"name": "web"},
        {"name": "zoo"},
    ]
    assert next_to_leave(there) == {"name": "web"}
    assert next_to_leave(there[:2]) is None


@pytest.mark.parametrize(
    ("status", "note", "expected"),
    [
        ("starting", "", True),
        ("pending", "", True),
        ("pending", f"{UNDECIDED}; its container on n1 runs on", True),
        ("pending", "no node fits: 2 cordoned", False),
        ("backoff", "no such image", False),
    ],
)
def test_one_that_cannot_run_elsewhere_is_not_waited_for(status: str, note: str, *, expected: bool) -> None:
    assert is_under_way({"status": status, "note": note}) is expected
