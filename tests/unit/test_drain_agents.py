"""A drain in agents mode goes on where one instance has no other place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from duckconf.cli.fleet import drain, drain_agents
from duckconf.cli.fleet.drained import Drained
from duckconf.inventory import Host
from duckconf.overview import UNDECIDED
from duckconf.reach.inventory.project import Project


class Api:
    """Two nodes; when n1 is drained, what is there goes to n2, but for `stuck`. What an earlier drain left is told as kept."""

    def __init__(self, stuck: str, kept: tuple[str, ...] = ()) -> None:
        self.stuck = stuck
        self.kept = list(kept)
        self.nodes = {"a": "n1", "b": "n1", "c": "n1", **dict.fromkeys(kept, "")}

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if path == "/apps?nodeName=n1":
            return {"apps": [{"name": name} for name, node in self.nodes.items() if node == "n1"], "kept": self.kept}
        if (method, path, body) == ("PUT", "/node/n1", {"draining": True}):
            self.nodes |= {name: "" if name == self.stuck else "n2" for name, node in self.nodes.items() if node}
        if path.startswith("/app/"):
            node = self.nodes[path.removeprefix("/app/")]
            one = {"slot": 1, "node": node, "status": "running" if node else "pending"}
            return {"instances": [one | ({} if node else {"note": "no node fits: 2 cordoned"})]}
        return {"cursor": "1", "events": []}


def drained(api: Api, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, str]]:
    monkeypatch.setattr(drain_agents, "api_client", lambda _: api)
    done = drain_agents.drain(cast(Project, None), "n1")
    return done.moved, dict(done.stuck)


def test_the_others_move_and_what_stays_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api("a")
    assert drained(api, monkeypatch) == (2, {"a": "no node fits: 2 cordoned"})
    assert api.nodes == {"a": "", "b": "n2", "c": "n2"}


def test_what_an_earlier_drain_has_left_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drained(Api("", kept=("web",)), monkeypatch) == (3, {"web": "no node fits: 2 cordoned"})


def test_what_nobody_has_decided_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api("a")
    notes = iter([UNDECIDED, f"{UNDECIDED}; its container on n1 runs on until it has another place", "no node fits"])
    call = api.call

    def later(method: str, path: str, body: Any = None) -> dict[str, Any]:
        told = call(method, path, body)
        if path == "/app/a" and not api.nodes["a"]:
            told["instances"][0]["note"] = next(notes)
        return told

    monkeypatch.setattr(api, "call", later)
    assert drained(api, monkeypatch) == (2, {"a": "no node fits"})


def test_an_interrupted_drain_tells_that_it_goes_on_and_what_was_not_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Project, node: str) -> Drained:
        if node == "n2":
            raise KeyboardInterrupt
        return Drained(1)

    hosts = [Host(name, "192.0.2.1") for name in ("n1", "n2", "n3")]
    monkeypatch.setattr(drain, "chosen_nodes", lambda *_: hosts)
    monkeypatch.setattr(drain, "drain_node", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drain.drain(cast(Any, SimpleNamespace(inventory=lambda: None)), "all")
    told = capsys.readouterr().err
    assert "./inv explain n2" in told
    assert "./inv uncordon n2" in told
    assert told.endswith("; not begun: n3\n")
