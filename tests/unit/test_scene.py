"""What a dry run in agents mode decides on: the API's answers, and what follows from them for a stack."""

from __future__ import annotations

from typing import Any, cast

import pytest

from duckconf.cli.apps.scene import _of_agents
from duckconf.cli.stacks.planning import _require_one_home
from duckconf.codec import spec_hash
from duckconf.errors import Conflict
from duckconf.local_data import Held
from duckconf.model import App, parse_app
from duckconf.reach.api.client import ApiClient
from duckconf.sites import Sites


class Told:
    """An api-server that gives these answers."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def call(self, method: str, path: str) -> Any:
        assert method == "GET"
        return self._answers[path]


NODE = {"name": "node-1", "status": "ready", "cordoned": False, "refusals": []}


def member(name: str) -> App:
    fields = {"image": "nginx", "volumes": [f"{name}:/data"], "network_mode": "stack:shop", "stack": "shop"}
    return parse_app({"name": name, **fields})


def test_a_dry_run_in_agents_mode_knows_which_node_has_whose_data() -> None:
    answers = {"/nodes?facts=true": {"nodes": []}, "/apps": {"apps": []}, "/data": {"data": {"db": ["node-2", ["data"], 1]}}}
    scene = _of_agents(cast(ApiClient, Told(answers)), Sites(), (), {})
    assert scene.memory.data == {"db": Held("node-2", ("data",), 1)}


def test_a_dry_run_in_agents_mode_knows_from_which_revisions_of_its_secrets_a_container_was_made() -> None:
    instance = {"slot": 1, "node": "node-1", "container": "duckconf-web", "status": "running", "generation": 1}
    entry = {"name": "web", "image": "nginx", "secrets": ["db"], "instances": [instance]}
    answers = {"/nodes?facts=true": {"nodes": [NODE]}, "/apps": {"apps": [entry]}, "/data": {"data": {}}}
    scene = _of_agents(cast(ApiClient, Told(answers)), Sites(), (), {"db": "0123456789abcdef"})
    (seen,) = scene.fleet.views["node-1"] or ()
    (wanted,), lacking = [one.app for one in scene.desired()[0].instances.values()], scene.desired()[1]
    assert wanted.secret_revisions == {"db": "0123456789abcdef"}
    assert seen.spec == spec_hash(wanted)
    assert scene.document is not None
    assert scene.document.apps()["web"] == parse_app({"name": "web", "image": "nginx", "secrets": ["db"]})
    assert not lacking


def test_a_stack_whose_data_is_on_two_nodes_is_refused_with_both_and_what_to_do() -> None:
    held = {"shop-db": Held("node-1", ("shop-db",)), "shop-web": Held("node-2", ("shop-web",))}
    with pytest.raises(Conflict) as refused:
        _require_one_home([member("shop-db"), member("shop-web")], held)
    assert "shop-web: has volume shop-web on node-2, and shop-db has volume shop-db on node-1" in str(refused.value)
    assert "./inv move shop-web --to node-1 --accept-data-loss" in refused.value.remedy
    held["shop-web"] = Held("node-1", ("shop-web",))
    _require_one_home([member("shop-db"), member("shop-web")], held)
