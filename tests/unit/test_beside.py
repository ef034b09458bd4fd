"""What the docker-wrapper hides: containers of the same cluster and machine that are labelled with another node."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from duckconf.actions import Start
from duckconf.beside import Beside, of_old_names, read
from duckconf.cli.fleet.old_names import refuse_old_names
from duckconf.command import Completed
from duckconf.errors import EngineRefused, NodeFailure, NodeRefused
from duckconf.inventory import Host
from duckconf.model import App
from duckconf.reach.nodes.actuator import execute
from tests.fakes import FakeNode

IN_USE = "Error: cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use"
TAKEN = 'Error: the container name "duckconf-web" is already in use by 1f. You have to remove that container'
WEB = App("nginx", "web", ports=("8080:80",))


def line(name: str, node: str, app: str = "web", state: str = "running") -> str:
    labels: Mapping[str, str] = {"node": node, "duckconf.app": app}
    return json.dumps([f"/{name}", state, labels])


def test_the_answer_is_read_once_for_each_container_and_noise_is_left_out() -> None:
    output = "\n".join([line("b", "n2"), "Emulate Docker CLI", line("b", "n2"), '["c","running",null]', "[1,2]", line("a", "n1")])
    assert read(output) == [Beside("a", "n1", "web", "running"), Beside("b", "n2", "web", "running")]


@pytest.mark.parametrize(
    ("labelled", "own", "hidden"),
    [
        ("new", "old", False),
        ("old", "old", True),
        ("older", "old", True),
        ("older", "", True),
        # Of another node that uses the same engine.
        ("n2", "old", False),
    ],
)
def test_containers_of_an_old_name_are_told_from_those_of_other_nodes(labelled: str, own: str, hidden: bool) -> None:
    found = [Beside("c", labelled, "web", "running")]
    assert bool(of_old_names(found, "new", own, ("new", "n2"))) is hidden


def test_a_machine_gets_no_name_that_would_hide_what_runs_there() -> None:
    admin = FakeNode("new")
    admin.answers["sh"] = Completed(0, line("duckconf-web", "old"), "")
    with pytest.raises(NodeFailure) as refused:
        refuse_old_names("demo", ("new",), Host("new", "192.0.2.1"), "old", admin)
    assert str(refused.value) == (
        "new: has containers that it runs as old, which nobody would see under the name new: duckconf-web (give it the name "
        "old, or remove them there, if their apps run elsewhere: podman rm -f duckconf-web)"
    )
    admin.answers["sh"] = Completed(0, "", "")
    refuse_old_names("demo", ("new",), Host("new", "192.0.2.1"), "old", admin)
    admin.asked.clear()
    refuse_old_names("demo", ("new",), Host("new", "192.0.2.1"), "new", admin)
    assert admin.asked == []


@pytest.mark.parametrize("words", [IN_USE, TAKEN])
def test_a_port_that_the_apps_own_copy_holds_on_the_same_engine_is_told_with_the_topology(words: str) -> None:
    node = FakeNode("n2", refusal=words)
    node.answers["sh"] = Completed(0, line("duckconf-web", "n1", state="paused"), "")
    with pytest.raises(NodeRefused) as refused:
        execute(Start("n2", "duckconf-web.2", WEB), "demo", node)
    assert refused.value.why == (
        "port 8080/tcp is held by the app's own copy on n1: in the shared topology all nodes use the ports of one engine; for "
        "nodes with ports of their own: ./inv up MODE --topology own"
    )
    assert "remove that container" not in str(refused.value)


@pytest.mark.parametrize(
    "beside", ["", line("duckconf-web", "n2"), line("duckconf-x", "n1", "x"), line("duckconf-web", "n1", state="exited")]
)
def test_a_port_that_somebody_else_holds_is_told_as_before(beside: str) -> None:
    node = FakeNode("n2", refusal=IN_USE)
    node.answers["sh"] = Completed(0, beside, "")
    with pytest.raises(NodeRefused) as refused:
        execute(Start("n2", "duckconf-web.2", WEB), "demo", node)
    assert refused.value.why == "port 8080 is in use"


def test_a_name_that_is_taken_by_an_app_without_ports_is_the_engines_refusal() -> None:
    node = FakeNode("n2", refusal=TAKEN)
    node.answers["sh"] = Completed(0, line("duckconf-web", "n1"), "")
    with pytest.raises(EngineRefused, match="already in use"):
        execute(Start("n2", "duckconf-web", App("nginx", "web")), "demo", node)
