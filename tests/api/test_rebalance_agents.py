"""A rebalance in agents mode: the real API and the scheduler's real decision, between agents that do as they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import pytest
from flask import Flask
from openapi_spec_validator import validate

from api.openapi import document
from controllers.component import Component
from controllers.rebalancer import balance
from duckconf.balance_told import sight
from duckconf.codec import spec_hash
from duckconf.events import Event
from duckconf.model import FIELDS, parse_app
from duckconf.naming import instance_name
from duckconf.reach.api.client import ApiClient
from duckconf.rebalancing import AUTO, MANUAL, uneven
from duckconf.sites import Sites
from tests.api.agents_api import NODES, Client, app, found_by_the_next
from tests.api.test_api_push import problem

__all__ = ["app"]


@dataclass
class World:
    """The nodes' agents, and the scheduler, which is called by hand. `away` nodes send no heartbeats, on `broken` ones a new
    container ends."""

    app: Flask
    mode: str = MANUAL
    away: Collection[str] = ()
    broken: Collection[str] = ()
    running: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {node: {} for node in NODES})
    told: list[str] = field(default_factory=list)
    floor: int = 99

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """As the scheduler's client."""
        answer = Client(self.app, "op")(method, path, body)
        assert answer.status_code < 300, answer.get_data(as_text=True)
        return answer.json or {}

    def tell(self, _: Any, events: Collection[Event]) -> None:
        self.told += [f"{event.kind}: {event.message}" for event in events]

    def declare(self, name: str, *nodes: str, **fields: Any) -> None:
        self.call("PUT", f"/app/{name}", {"image": "x", "replicas": len(nodes), "node": list(nodes), **fields})

    def agents(self) -> Self:
        """Each agent obeys, and tells what it has."""
        for node in NODES:
            if node in self.away:
                continue
            agent = Client(self.app, f"token of {node}")
            share = agent("GET", f"/apps?nodeName={node}").json or {}
            mine = {instance_name(one["name"], one.get("slot", 1)): one for one in share["apps"]}
            there = self.running[node]
            for name in [name for name in there if name not in mine and name not in share["kept"]]:
                del there[name]
            for name, one in mine.items():
                there.setdefault(name, self._container(node, one))
            told = {"instance": node, "containers": list(there.values())}
            assert agent("PUT", f"/node/{node}/heartbeat", told).status_code == 200
            up = {name for found in self.running.values() for name, one in found.items() if one["state"] == "running"}
            self.floor = min(self.floor, len(up))
        return self

    def _container(self, node: str, one: dict[str, Any]) -> dict[str, Any]:
        state, restarts = ("exited", 3) if node in self.broken else ("running", 0)
        spec = spec_hash(parse_app({key: value for key, value in one.items() if key in FIELDS}))
        told = {"app": one["name"], "slot": one.get("slot", 1), "container": f"duckconf-{one['name']}", "image": "x"}
        return told | {"state": state, "spec": spec, "generation": one.get("generation", 0), "restarts": restarts}

    def schedule(self) -> Self:
        balance(cast(Component, self), cast(ApiClient, self), self.mode, Sites(NODES), 10.0)
        return self

    def go(self, times: int = 12) -> Self:
        for _ in range(times):
            self.agents().schedule()
        return self

    def counts(self) -> list[int]:
        found = Counter(node for node, there in self.running.items() for one in there.values() if one["state"] == "running")
        return [found[node] for node in NODES]


@pytest.fixture
def world(app: Flask) -> World:
    return World(app)


def crowded(world: World, **fields: Any) -> World:
    for number in range(6):
        world.declare(f"a{number}", NODES[number % 2], **fields)
    world.agents().agents()
    world.floor = 99
    return world


def test_one_after_the_other_moves_and_runs_before_its_old_copy_ends(world: World) -> None:
    crowded(world)
    assert (world.call("GET", "/rebalance")["under_way"], world.schedule().told) == (False, [])
    world.call("POST", "/rebalance")
    world.schedule()
    assert world.call("GET", "/rebalance")["moving"] == [{"instance": "a1", "from": "node-2", "to": "node-3"}]
    # Until it runs there, nothing else moves, and what it was moves on where it is.
    assert world.schedule().counts() == [3, 3, 0]
    assert (world.go().counts(), world.floor) == ([2, 2, 2], 6)
    assert world.told[:2] == [
        "rebalancing: a1 node-2 → node-3: node-2 runs 3, node-3 runs 0",
        "rebalanced: a1 node-2 → node-3: it is ready",
    ]
    assert world.told[-1].startswith("balanced: 2 instances moved: the nodes are level")
    assert world.call("GET", "/rebalance")["done"] == 1


def test_with_a_port_of_the_node_the_old_one_ends_before_the_new_one_starts(world: World) -> None:
    world.declare("fixed", "node-1", ports=["80:80"])
    world.declare("data", "node-1", volumes=["data:/d"])
    world.call("PUT", "/node/node-3", {"cordoned": True})
    world.agents().agents()
    world.call("POST", "/rebalance")
    world.schedule()
    one, two = (Client(world.app, f"token of {node}") for node in NODES[:2])
    told = two("GET", "/apps?nodeName=node-2").json or {}
    assert told["apps"] == []
    assert (one("GET", "/apps?nodeName=node-1").json or {})["kept"] == []
    # The first agent ends it and says so; then the second is told of it, and woken.
    world.agents()
    after = two("GET", f"/apps?nodeName=node-2&wait=5&since={told['revision']}").json or {}
    assert [entry["name"] for entry in after["apps"]] == ["fixed"]
    world.go(3)
    assert ([*world.running["node-1"]], [*world.running["node-2"]]) == (["data"], ["fixed"])
    assert world.told[-1].startswith("balanced: 1 instance moved")


def test_as_many_of_one_app_move_at_once_as_its_updates_replace(world: World) -> None:
    world.declare("web", *["node-1"] * 6, update_config={"parallelism": "2"})
    world.agents().agents()
    world.call("POST", "/rebalance")
    world.schedule()
    assert len(world.call("GET", "/rebalance")["moving"]) == 2
    assert world.go().counts() == [2, 2, 2]


def test_an_instance_that_does_not_come_up_returns_to_the_copy_that_serves(world: World) -> None:
    crowded(world).broken = ("node-3",)
    world.call("POST", "/rebalance")
    world.go(20)
    assert (world.counts(), world.floor) == ([3, 3, 0], 6)
    assert "rebalance-failed: a1 did not come up on node-3 and returns to node-2" in world.told
    assert world.told[-1].startswith("balanced: nothing moved: the nodes differ by 3, and nothing else can move")


def test_a_scheduler_that_is_killed_before_it_binds_is_followed_by_one_that_does(world: World, tmp_path: Path) -> None:
    crowded(world).call("POST", "/rebalance")
    world.schedule()
    world.call("PUT", "/apps", {"apps": [{"name": "a1", "slot": 1, "node": "node-2"}]})
    assert world.go().counts() == [2, 2, 2]
    assert found_by_the_next(tmp_path).rebalances.progress.done == 1


def test_by_itself_it_begins_when_a_node_joins_and_waits_while_one_is_away(world: World) -> None:
    world.mode = AUTO
    world.call("PUT", "/node/node-3", {"cordoned": True})
    crowded(world)
    assert (world.go(2).told, world.counts()) == ([], [3, 3, 0])
    world.call("PUT", "/node/node-2", {"cordoned": True})
    world.call("PUT", "/node/node-3", {"cordoned": False})
    assert world.go(2).counts() == [3, 3, 0]
    assert world.call("GET", "/rebalance")["waits"] == "node-2 is cordoned and runs instances: it may be drained"
    world.call("PUT", "/node/node-2", {"cordoned": False})
    assert (world.go().counts(), world.floor) == ([2, 2, 2], 6)
    assert not world.call("GET", "/rebalance")["under_way"]


def test_what_the_api_tells_is_enough_to_show_what_would_move_and_why_not_now(world: World) -> None:
    crowded(world)
    nodes, apps = world.call("GET", "/nodes?facts=true")["nodes"], world.call("GET", "/apps")["apps"]
    seen = sight(apps, nodes, Sites(NODES))
    assert uneven(seen) == [{"node": "node-3", "instances": 0, "of": 6}]
    assert [move.name for move in seen.moves()] == ["a1", "a0"]
    world.call("PUT", "/app/a4", {"env": {"A": "1"}})
    again = sight(world.call("GET", "/apps")["apps"], nodes, Sites(NODES))
    assert again.busy == "a4 is being updated"
    stuck = [
        {**app, "rollout": "revision 1: 0 of 1 instance updated", "instances": [{**app["instances"][0], "status": "exited"}]}
        for app in apps
    ]
    assert sight(stuck, nodes, Sites(NODES)).busy == ""
    taken_back = [
        {
            **app,
            "rollout": "revision 2 failed: it ended; revision 1 serves",
            "instances": [{**app["instances"][0], "updated": False}],
        }
        for app in apps
    ]
    assert sight(taken_back, nodes, Sites(NODES)).busy == ""
    strange = [{**apps[0], "of_a_newer_version": 1}, *apps[1:]]
    assert len(sight(strange, nodes, Sites(NODES)).instances) == 6


def test_agents_may_not_ask_and_a_bad_progress_is_refused(app: Flask) -> None:
    agent, operator = Client(app, "token of node-1"), Client(app, "op")
    for method in ("GET", "POST", "PUT"):
        problem(agent(method, "/rebalance", {}), 403)
    bodies: tuple[Any, ...] = ({}, [], {"done": "x"})
    for bad in bodies:
        problem(operator("PUT", "/rebalance", bad), 422)
    validate(document("agents"))
    assert set(document("agents")["paths"]["/rebalance"]) == {"get", "post", "put"}
