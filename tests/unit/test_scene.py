"""What a dry run in agents mode decides on: the API's answers, and what follows from them for a stack."""

from __future__ import annotations

from typing import Any, cast

import pytest

from duckconf.cli.apps.scene import _of_agents
from duckconf.cli.stacks.planning import _require_one_home
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


def member(name: str) -> App:
    fields = {"image": "nginx", "volumes": [f"{name}:/data"], "network_mode": "stack:shop", "stack": "shop"}
    return parse_app({"name": name, **fields})


def test_a_dry_run_in_agents_mode_knows_which_node_has_whose_data() -> None:
    answers = {"/nodes?facts=true": {"nodes": []}, "/apps": {"apps": []}, "/data": {"data": {"db": ["node-2", ["data"], 1]}}}
    scene = _of_agents(cast(ApiClient, Told(answers)), Sites(), ())
    assert scene.memory.data == {"db": Held("node-2", ("data",), 1)}


def test_a_stack_whose_data_is_on_two_nodes_is_refused_with_both_and_what_to_do() -> None:
    held = {"shop-db": Held("node-1", ("shop-db",)), "shop-web": Held("node-2", ("shop-web",))}
    with pytest.raises(Conflict) as refused:
        _require_one_home([member("shop-db"), member("shop-web")], held)
    assert "shop-web: has volume shop-web on node-2, and shop-db has volume shop-db on node-1" in str(refused.value)
    assert "./inv move shop-web --to node-1 --accept-data-loss" in refused.value.remedy
    held["shop-web"] = Held("node-1", ("shop-web",))
    _require_one_home([member("shop-db"), member("shop-web")], held)
