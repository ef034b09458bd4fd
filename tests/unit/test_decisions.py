"""The pure decisions: whose turn it is, what the engine is told, what its answer means, what an inventory holds."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf import engine
from duckconf.command import Command, Completed, Secret
from duckconf.engine_output import read_containers, run_failure
from duckconf.errors import BadInput, EngineRefused, EngineUnavailable, NodeRefused, NotFound
from duckconf.inventory import read_inventory
from duckconf.model import App
from duckconf.naming import push_app, push_number
from duckconf.settings import read_settings
from duckconf.spreading import round_robin

NAMES = st.lists(st.text("abc-1", min_size=1), min_size=1, max_size=8, unique=True)
ARGUMENT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(NAMES, st.integers(0, 10**9))
def test_round_robin_tries_every_node_once_beginning_with_the_one_whose_turn_it_is(nodes: list[str], turn: int) -> None:
    order = round_robin(nodes, turn)
    assert order[0] == nodes[turn % len(nodes)]
    assert sorted(order) == sorted(nodes)
    assert order == round_robin(nodes, turn + len(nodes))


def test_no_nodes_give_no_order() -> None:
    assert round_robin([], 5) == ()


@given(st.integers(1, 10**9), st.sampled_from(["demo", "other"]))
def test_the_number_is_read_back_from_the_name(number: int, cluster: str) -> None:
    assert push_number(push_app(cluster, "node-1", number)) == number


def test_a_name_of_another_kind_has_no_number() -> None:
    assert [push_number(name) for name in ("web", "x-app-", "x-app-²", "")] == [0, 0, 0, 0]


@given(st.lists(ARGUMENT, min_size=1))
def test_a_shell_line_reads_back_as_the_same_arguments(argv: list[str]) -> None:
    assert shlex.split(Command(argv).shell_line()) == argv


def test_a_secret_is_sent_and_not_printed() -> None:
    command = Command(("login", Secret("hunter2")))
    assert command.shell_line() == "login hunter2"
    assert "hunter2" not in f"{command} {command!r}"


def test_the_users_words_come_after_the_image_or_inside_one_argument() -> None:
    app = App("nginx", "web", ("--rm", "x"), {"A": "-b"}, ("1:2",), ("v:/x",), 0.5, "1g", {"l": "m"})
    assert list(engine.run("c", app, {"o": "p"}, {"E": "f"}).argv) == [
        *("docker", "run", "-d", "--name", "c", "--env=E=f", "--env=A=-b", "--publish=1:2", "--volume=v:/x"),
        *("--cpus=0.5", "--memory=1g", "--label=l=m", "--label=o=p", "nginx", "--rm", "x"),
    ]


PODMAN = [{"Id": "i", "Names": ["c"], "Labels": {"duckconf.app": "a"}, "Image": "x", "State": "running", "StartedAt": 5}]
DOCKER = {"ID": "i", "Names": "c", "Labels": {"duckconf.app": "a", "duckconf.spec": "s"}, "Image": "x", "State": "exited"}


def test_both_engines_listings_are_read() -> None:
    (one,) = read_containers("n", Completed(0, json.dumps(PODMAN), ""))
    assert (one.app, one.name, one.node, one.running, one.started) == ("a", "c", "n", True, 5.0)
    line = json.dumps({**DOCKER, "CreatedAt": "1970-01-01 00:01:00 +0000 UTC"})
    (two,) = read_containers("n", Completed(0, line + "\n", ""))
    assert (two.app, two.spec, two.running, two.started) == ("a", "s", False, 60.0)
    assert read_containers("n", Completed(0, "", "")) == ()


@pytest.mark.parametrize(
    ("status", "label", "health"),
    [
        ("Up 2 minutes ago (healthy)", "", "healthy"),
        ("Up 3 seconds (health: starting)", "", "starting"),
        ("unhealthy", "", "unhealthy"),
        ("Up 2 minutes (Paused)", "", ""),
        ("Up 2 minutes", "{}", "starting"),
        ("", "{}", "starting"),
        ("", "", ""),
    ],
)
def test_what_engines_say_of_the_check_of_an_image_is_read_and_a_check_of_ours_is_not_judged_yet(
    status: str, label: str, health: str
) -> None:
    row = {**PODMAN[0], "Status": status, "Labels": {"duckconf.app": "a", "duckconf.check": label}}
    (seen,) = read_containers("n", Completed(0, json.dumps([row]), ""))
    assert (seen.health, seen.check) == (health, label)
    (ended,) = read_containers("n", Completed(0, json.dumps([{**row, "State": "exited", "Status": "Exited (1)"}]), ""))
    assert ended.health == ""


@pytest.mark.parametrize(
    "done", [Completed(0, "nonsense", ""), Completed(0, "[{}]", ""), Completed(1, "", "boom"), Completed(127, "", "")]
)
def test_a_listing_that_cannot_be_read_is_a_failure_and_not_an_empty_node(done: Completed) -> None:
    with pytest.raises(EngineUnavailable):
        read_containers("n", done)


@pytest.mark.parametrize(
    ("words", "kind", "conflict"),
    [
        ("Error: image not known", EngineRefused, False),
        ("listen tcp4 :80: bind: address already in use", NodeRefused, None),
        ("Conflict. The container name is already in use by", EngineRefused, True),
        ("Cannot connect to Podman. Please verify your connection", EngineUnavailable, None),
        ("docker-wrapper: no node name", EngineUnavailable, None),
        (
            "docker: Error response from daemon: OCI runtime create failed: no such file or directory: unknown.",
            EngineRefused,
            False,
        ),
        ("Error: crun: executable file `docker` not found in $PATH", EngineRefused, False),
    ],
)
@pytest.mark.parametrize("code", [125, 127])
def test_the_reason_of_a_failed_run_is_the_requests_or_the_nodes(
    words: str, kind: type[Exception], conflict: bool | None, code: int
) -> None:
    failure = run_failure("n", Completed(code, "", words))
    assert isinstance(failure, kind)
    assert getattr(failure, "conflict", None) == conflict


def test_a_node_without_a_docker_command_is_not_the_requests_fault() -> None:
    for words in ("sh: 1: docker: not found", "bash: docker: command not found"):
        assert isinstance(run_failure("n", Completed(127, "", words)), EngineUnavailable)


def document(**variables: object) -> dict[str, object]:
    return {"hosts": {"n1": variables, "n2": {"ansible_host": "192.0.2.2"}}, "groups": {"nodes": ["n1", "n2"]}}


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"ansible_port": "http"}, "ansible_port"),
        ({"ansible_port": 70000}, "ansible_port"),
        ({"duckconf_provider": "cloud"}, "duckconf_provider"),
        ({"duckconf_engine": "lxc"}, "duckconf_engine"),
    ],
)
def test_a_bad_variable_refuses_its_host_by_name(variables: dict[str, object], word: str) -> None:
    refused = read_inventory(document(**variables)).node("n1").refused
    assert refused is not None
    assert f"cannot be used as the inventory has it: {word}: should be" in refused.reason


def test_a_bad_name_of_the_cluster_refuses_the_inventory() -> None:
    with pytest.raises(BadInput, match="cluster"):
        read_inventory(document(duckconf_cluster="No Name"))


def test_two_demo_hosts_on_one_port_and_a_missing_group_are_refused() -> None:
    twins = {name: {"ansible_host": "127.0.0.1", "duckconf_provider": "container"} for name in ("a", "b")}
    with pytest.raises(BadInput, match="already the port of a"):
        read_inventory({"hosts": twins, "groups": {"nodes": ["a", "b"]}})
    with pytest.raises(BadInput, match="group nodes"):
        read_inventory({"hosts": {}, "groups": {}})


def test_an_inventory_keeps_its_order_and_knows_its_nodes() -> None:
    inventory = read_inventory(document(ansible_password="x"))
    assert [host.name for host in inventory.node_hosts()] == ["n1", "n2"]
    assert "x" not in repr(inventory.node("n1").password)
    with pytest.raises(NotFound, match="n1, n2"):
        inventory.node("n3")


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    settings = read_settings({"node_deadline": 5, "api_url": "http://a:1"}, {"DUCKCONF_API": "http://b:2"})
    assert (settings.node_deadline, settings.api_url, settings.inventory) == (5.0, "http://b:2", "inventory")


def test_an_address_of_the_environment_is_named_too() -> None:
    with pytest.raises(BadInput, match="DUCKCONF_API: should be http://HOST:PORT, or several with commas between, got 'b'"):
        read_settings({"api_url": "http://a:1"}, {"DUCKCONF_API": "http://a:1,b"})


@pytest.mark.parametrize(
    "config",
    [
        {"nope": 1},
        {"node_deadline": "soon"},
        {"node_deadline": 0},
        {"api_threads": 1.5},
        {"inventory": 3},
        {"api_url": "a:8080"},
        {"api_url": "http://a:1, b:1"},
    ],
)
def test_a_bad_setting_is_named(config: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"invoke\.yml"):
        read_settings(config, {})
