"""The engine commands that push sends, held against a real node and against the tests' fake node alike."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from duckconf import engine
from duckconf.cli.cluster import open_cluster
from duckconf.command import Command, Runner
from duckconf.model import App
from duckconf.naming import WEB_IMAGE, app_labels
from tests.e2e.conftest import Live
from tests.fakes import FakeNode


@pytest.fixture(params=["real", "fake"])
def node(request: pytest.FixtureRequest, cluster: Live) -> Iterator[Runner]:
    if request.param == "fake":
        yield FakeNode("node-1")
        return
    with open_cluster(cluster.project) as opened:
        yield opened.fleet.runner("node-1")


def test_a_container_is_there_from_its_start_to_its_removal(node: Runner, cluster: Live) -> None:
    name = f"{cluster.project.cluster}-contract"
    labels = app_labels(cluster.project.cluster, name, "spec")
    assert not node.run(engine.inspect_labels(name)).ok
    assert node.run(engine.run(name, App(WEB_IMAGE), labels, {"A": "b"})).ok
    assert json.loads(node.run(engine.inspect_labels(name)).stdout).items() >= labels.items()
    assert node.run(engine.remove(name)).ok
    assert not node.run(engine.inspect_labels(name)).ok


def test_a_start_that_fails_may_leave_a_container_that_is_ours(node: Runner, cluster: Live) -> None:
    """Why the actuator looks and cleans up after a refusal."""
    name = f"{cluster.project.cluster}-contract"
    if isinstance(node, FakeNode):
        node.refusal = "Error: executable file `/no/such/program` not found"
    app = App(WEB_IMAGE, ports=("127.0.0.1:1:80", "127.0.0.1:1:81"))
    assert not node.run(engine.run(name, app, app_labels(cluster.project.cluster, name, "s"), {})).ok
    left = node.run(engine.inspect_labels(name))
    if left.ok:
        assert json.loads(left.stdout)["duckconf.app"] == name
        assert node.run(engine.remove(name)).ok


def test_a_program_that_does_not_exist_is_127(node: Runner) -> None:
    assert node.run(Command(("no-such-program",))).code == 127
