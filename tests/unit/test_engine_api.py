"""What a command does, said to an engine's HTTP API: whose containers are made, and when the command has to do it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf import engine
from duckconf.become import as_root
from duckconf.command import Command, Completed
from duckconf.engine import DOCKER, PODMAN
from duckconf.engine_api import Answer, Call, Make, Request
from duckconf.inventory import Host
from duckconf.model import DECLARED, SPEC_FIELDS, App, parse_app
from duckconf.wire import merged
from tests.e2e.full_service import SERVICE

ENGINES = (PODMAN, DOCKER)
# Why each is left to the command.
BY_COMMAND = {
    "volumes": "docker's API makes a folder that is missing, podman's command refuses it",
    "init": "podman's client says which program it is",
    "read_only": "podman makes some folders writable where its client does not say otherwise",
    "tmpfs": "the clients read its options",
    "ulimits": "the clients read the names of the limits",
    "security_opt": "the clients read the file of a seccomp profile",
    "privileged": "podman's client gives it the devices of the node",
    "aliases": "a network of a stack is made beside, by a command",
    "devices": "the clients tell a path from a CDI name",
    "stop_signal": "podman's API takes numbers, which are the kernel's",
}


def play(request: Request, kind: str, *answers: Answer) -> tuple[list[Call], Completed | None]:
    """The calls that are made, and the outcome."""
    steps, calls, left = request.steps(kind, "node-1"), [], list(answers)
    try:
        calls.append(next(steps))
        while True:
            calls.append(steps.send(left.pop(0)))
    except StopIteration as end:
        assert not left
        return calls, end.value


def request_of(app: App, **labels: str) -> Make | None:
    request = engine.run("duckconf-web", app, labels, {}).request
    assert request is None or isinstance(request, Make)
    return request


MADE, STARTED, REMOVED = Answer(201, b'{"Id": "f00"}'), Answer(204, b""), Answer(200, b"[]")


def test_each_field_of_a_container_is_said_to_the_api_or_left_to_the_command_for_a_reason() -> None:
    flagged = {name for name in SPEC_FIELDS if DECLARED[name].flag}
    assert {name for name in flagged if DECLARED[name].wire is None} == set(BY_COMMAND)


@pytest.mark.parametrize("name", sorted(BY_COMMAND))
def test_an_app_with_a_field_that_the_api_is_not_told_is_started_by_the_command(name: str) -> None:
    value = parse_app({"image": "x", name: DECLARED[name].example})
    assert request_of(value) is None


@pytest.mark.parametrize("body", [{"entrypoint": []}, {"pull_policy": "always"}])
def test_a_value_that_only_the_command_knows_is_left_to_it(body: dict[str, Any]) -> None:
    assert request_of(parse_app({"image": "x", **body})) is None


def test_what_asks_for_no_pull_is_started_over_the_line() -> None:
    assert all(request_of(App("x", pull_policy=policy)) is not None for policy in ("missing", "never"))


@given(st.dictionaries(st.sampled_from(["team", "node", "duckconf.app"]), st.text(max_size=3)), st.sampled_from(ENGINES))
def test_what_is_made_belongs_to_the_node_whatever_its_labels_are(labels: dict[str, str], kind: str) -> None:
    request = request_of(App("x"), **labels)
    assert request is not None
    calls, _ = play(request, kind, MADE, STARTED)
    assert calls[0].body is not None
    found = calls[0].body["labels" if kind == PODMAN else "Labels"]
    assert found == {**labels, "node": "node-1"}


@pytest.mark.parametrize("kind", ENGINES)
def test_a_start_ends_with_the_id_as_the_command_prints_it(kind: str) -> None:
    request = request_of(App("x"))
    assert request is not None
    calls, done = play(request, kind, MADE, STARTED)
    assert done == Completed(0, "f00\n", "")
    assert [(call.method, call.path.rpartition("containers/")[2].partition("?")[0]) for call in calls] == [
        ("POST", "create"), ("POST", "f00/start")
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("status", [404, 409, 500])
def test_a_container_that_cannot_be_made_is_left_to_the_command_and_nothing_is_touched(kind: str, status: int) -> None:
    request = request_of(App("x"))
    assert request is not None
    calls, done = play(request, kind, Answer(status, b'{"message": "no"}'))
    assert (len(calls), done) == (1, None)


@pytest.mark.parametrize("kind", ENGINES)
def test_what_was_made_and_does_not_start_is_removed_by_its_id_and_nothing_else(kind: str) -> None:
    request = request_of(App("x"))
    assert request is not None
    calls, done = play(request, kind, MADE, Answer(500, b"port in use"), REMOVED)
    assert (calls[-1].method, calls[-1].path.partition("?")[0].endswith("/containers/f00"), done) == ("DELETE", True, None)


@pytest.mark.parametrize("kind", ENGINES)
def test_labels_are_read_as_the_command_prints_them_and_none_are_an_empty_object(kind: str) -> None:
    request = engine.inspect_labels("a/b").request
    assert request is not None
    calls, done = play(request, kind, Answer(200, b'{"Config": {"Labels": {"a": "b"}}}'))
    assert calls[0].path.endswith("/containers/a%2Fb/json")
    assert done == Completed(0, '{"a": "b"}', "")
    assert play(request, kind, Answer(200, b'{"Config": {"Labels": null}}'))[1] == Completed(0, "{}", "")
    assert play(request, kind, Answer(404, b"{}"))[1] is None


@pytest.mark.parametrize(
    ("command", "method", "end"),
    [
        (engine.start_again("c"), "POST", "/c/start"),
        (engine.stop("c"), "POST", "/c/stop"),
        (engine.remove("c"), "DELETE", "/c?force=true"),
        (engine.remove("c", volumes=True), "DELETE", "/c?force=true&v=true&volumes=true"),
    ],
)
def test_an_act_is_one_call_and_a_refusal_is_for_the_command_to_tell(command: Command, method: str, end: str) -> None:
    assert command.request is not None
    for answer in (STARTED, Answer(304, b"")):
        calls, done = play(command.request, PODMAN, answer)
        assert (calls[0].method, calls[0].path.endswith(f"/containers{end}")) == (method, True)
        assert done is not None
    for answer in (Answer(404, b"{}"), Answer(500, b"{}"), Answer(200, b'[{"Id": "c", "Err": "it is paused"}]')):
        assert play(command.request, PODMAN, answer)[1] is None


def test_ports_are_said_in_each_engines_form() -> None:
    request = request_of(App("x", ports=("127.0.0.1:8000-8001:80-81", "53/udp")))
    assert request is not None
    bindings = request.bodies[DOCKER]["HostConfig"]["PortBindings"]
    assert bindings == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}],
        "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}],
        "53/udp": [{"HostIp": "", "HostPort": ""}],
    }
    first, second = request.bodies[PODMAN]["portmappings"]
    assert (first["host_port"], first["container_port"], first["range"], first["host_ip"]) == (8000, 80, 2, "127.0.0.1")
    assert (second["host_port"], second["container_port"], second["protocol"]) == (0, 53, "udp")


def test_parts_of_one_object_do_not_hide_each_other() -> None:
    assert merged({"a": {"b": 1}}, {"a": {"c": 2}, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    request = request_of(App("x", cpus=0.5, memory="64m"))
    assert request is not None
    assert request.bodies[PODMAN]["resource_limits"] == {
        "cpu": {"period": 100000, "quota": 50000}, "memory": {"limit": 2**26, "swap": 2**27}
    }  # fmt: skip
    assert request.bodies[DOCKER]["HostConfig"].items() >= {"NanoCpus": 5 * 10**8, "Memory": 2**26}.items()


def test_what_is_done_otherwise_than_by_the_plain_command_is_not_done_over_the_line() -> None:
    plain = engine.run("c", App("x"), {}, {})
    assert plain.request is not None
    assert engine.create("c", plain, b"SECRET=1").request is None
    assert as_root(plain, Host("node-1", "192.0.2.1", user="admin")).request is None


def said_to_the_api(app: App) -> App:
    """The app without what is left to the command."""
    return replace(app, **{item.name: getattr(App("x"), item.name) for item in fields(App) if item.name in BY_COMMAND})


def test_most_of_a_full_service_is_said_to_the_api() -> None:
    request = request_of(said_to_the_api(parse_app(SERVICE)))
    assert request is not None
    assert {"Image", "Entrypoint", "Cmd", "Env", "Labels", "User", "WorkingDir"} <= set(request.bodies[DOCKER])
