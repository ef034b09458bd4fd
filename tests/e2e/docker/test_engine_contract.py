"""The engine commands that Duckconf sends, held against real nodes with podman and with docker, and what all three control
styles need of them against the tests' fake node too."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from duckconf import engine
from duckconf.actions import Kill, Pin, Remove, Restart, Start
from duckconf.cli.demo.local_engine import install
from duckconf.command import Command, Runner
from duckconf.engine import DOCKER, PODMAN
from duckconf.engine_output import engine_words
from duckconf.errors import Conflict, EngineRefused, NodeRefused
from duckconf.model import App, parse_app
from duckconf.naming import NGINX_IMAGE, WEB_IMAGE, app_labels
from duckconf.pins import Question
from duckconf.ports import parse_port
from duckconf.reach.nodes.actuator import execute, last_words
from duckconf.reach.nodes.identify import identify
from duckconf.reach.nodes.sensor import observe
from duckconf.refusal_words import ADDRESS, CORES, PATH, PORT
from duckconf.sizes import size_in_bytes
from tests.e2e import secret_places
from tests.e2e.full_service import INSIDE, INSPECTED, ON_HOST, PRIVILEGED, SERVICE
from tests.e2e.real_engine import NODE, Real, both_ways, held, image_for_another_processor, inspected, node, real, unique_name
from tests.e2e.secret_places import TELLING, VALUE
from tests.e2e.watched import in_no_command_line
from tests.fakes import FakeNode
from tests.unit.test_engine_api import said_to_the_api
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["both_ways", "node", "real"]

INIT = Path("/usr/libexec/podman/catatonit")
SYS_ADMIN = 1 << 21


def test_a_container_is_there_from_its_start_to_its_removal(node: Runner) -> None:
    name = unique_name()
    labels = app_labels("contract", name, "spec")
    assert not node.run(engine.inspect_labels(name)).ok
    assert node.run(engine.run(name, App(WEB_IMAGE), labels, {"A": "b"})).ok
    assert json.loads(node.run(engine.inspect_labels(name)).stdout).items() >= labels.items()
    assert node.run(engine.remove(name)).ok
    assert not node.run(engine.inspect_labels(name)).ok


def test_a_start_that_fails_may_leave_a_container_that_is_ours(node: Runner) -> None:
    """Why the actuator looks and cleans up after a refusal."""
    name = unique_name()
    if isinstance(node, FakeNode):
        node.refusal = "Error: executable file `/no/such/program` not found"
    app = App(WEB_IMAGE, ports=("127.0.0.1:1:80", "127.0.0.1:1:81"))
    assert not node.run(engine.run(name, app, app_labels("contract", name, "s"), {})).ok
    left = node.run(engine.inspect_labels(name))
    if left.ok:
        assert json.loads(left.stdout)["duckconf.app"] == name
        assert node.run(engine.remove(name)).ok


def test_a_program_that_does_not_exist_is_127(node: Runner) -> None:
    assert node.run(Command(("no-such-program",))).code == 127


def test_both_ways_to_list_tell_the_same_of_a_container_in_each_state(real: Real) -> None:
    app = App(NGINX_IMAGE, command=("sh", "-c", "exit 3"))
    full_id = real.start(name=f"{real.name}-runs")
    real.start(app, f"{real.name}-exits")
    real.start(name=f"{real.name}-rests")
    real.runner.run(Command(("docker", "pause", f"{real.name}-rests")))
    real.start(App(WEB_IMAGE, healthcheck={"tcp": "80"}), f"{real.name}-ours")
    labels = (f"--label={name}={value}" for name, value in app_labels(real.cluster, "images", "spec").items())
    check = ("--health-cmd=exit 0", "--health-interval=1h")
    assert real.runner.run(Command(("docker", "run", "-d", f"--name={real.name}-images", *labels, *check, WEB_IMAGE))).ok
    until("one has exited", lambda: real.listed()[f"{real.name}-exits"].state == "exited")
    by_command = real.listed()
    states = {name.rpartition("-")[2]: seen.state for name, seen in by_command.items()}
    assert states == {"runs": "running", "exits": "exited", "rests": "paused", "ours": "running", "images": "running"}
    assert [by_command[f"{real.name}-{name}"].health for name in ("runs", "images")] == ["", "starting"]
    assert [by_command[f"{real.name}-{name}"].exit_code for name in ("runs", "exits", "rests")] == [None, 3, None]
    seen = by_command[f"{real.name}-runs"]
    assert (seen.id, seen.app, seen.spec) == (full_id, seen.name, "spec")
    assert seen.image.removesuffix(":latest") == WEB_IMAGE
    assert seen.started > 1_600_000_000
    # The second look is over the line to the engine's API.
    for _ in range(3):
        by_api = {item.name: item for item in observe(real.cluster, real.host, real.runner)}
        assert all(item.image_id for item in by_api.values())
        # Docker's command tells no ids of images.
        assert {name: replace(item, image_id=by_command[name].image_id) for name, item in by_api.items()} == by_command
    real.runner.run(Command(("docker", "unpause", f"{real.name}-rests")))


def test_engines_take_each_form_of_a_field_and_tell_the_ports_that_they_chose(real: Real) -> None:
    ports = ("127.0.0.1::80", "127.0.0.1:18100-18101:81-82", "127.0.0.1:18102:83/udp")
    labels = {"-odd,duckconf.app": "x,duckconf.app=other", "ü/team:1": " y "}
    app = App(WEB_IMAGE, ports=ports, memory="64.5MiB", cpus=0.25, labels=labels)
    real.start(app)
    (seen,) = real.listed().values()
    assert seen.app == real.name
    chosen, *asked = sorted(seen.ports, key=lambda port: parse_port(port).inside)
    assert parse_port(chosen).host not in (None, 80)
    assert {number for port in asked for number in held(port)} == {"18100/tcp", "18101/tcp", "18102/udp"}
    assert real.said("inspect", "--format={{.HostConfig.Memory}}", seen.name) == str(size_in_bytes("64.5MiB"))
    told = json.loads(real.runner.run(engine.inspect_labels(seen.name)).stdout)
    assert labels.items() <= told.items()


def test_each_field_of_a_compose_service_takes_effect(real: Real) -> None:
    if real.host.engine == PODMAN and not INIT.exists():
        install(("catatonit",), "podman has no init program")
    app = replace(parse_app(SERVICE), name=real.name)
    execute(Start(NODE, real.name, app), real.cluster, real.runner)
    assert {what: real.said("exec", real.name, "sh", "-c", line) for what, (line, _) in INSIDE.items()} == {
        what: words for what, (_, words) in INSIDE.items()
    }
    assert {what: real.said("inspect", f"--format={{{{json {what}}}}}", real.name) for what in INSPECTED} == INSPECTED
    assert real.runner.run(engine.stop(real.name, 90)).ok
    assert real.said("inspect", "--format={{.State.ExitCode}}", real.name) == "7"
    execute(Remove(NODE, real.name), real.cluster, real.runner)
    real.start(parse_app(ON_HOST))
    assert real.said("inspect", "--format={{.HostConfig.NetworkMode}}", real.name) == "host"
    privileged = real.runner.run(engine.run(real.name, parse_app(PRIVILEGED), app_labels(real.cluster, real.name, "s"), {}))
    # Where the machine itself lacks capabilities, runc under docker refuses.
    assert privileged.ok or "unable to apply caps: operation not permitted" in privileged.stderr
    if privileged.ok:
        bounding = real.said("exec", real.name, "sed", "-n", "s/^CapBnd:.//p", "/proc/1/status")
        assert int(bounding, 16) & SYS_ADMIN


def test_a_container_shares_the_network_of_another_apps_one(real: Real) -> None:
    owner, sharer = (f"{real.name}-{name}" for name in ("owner", "sharer"))
    sleeps = App(NGINX_IMAGE, command=("sleep", "1000"), stop_grace_period="1s")
    app = replace(sleeps, name=sharer, network_mode=f"service:{owner}")
    with pytest.raises(EngineRefused, match="has 0 running containers there"):
        execute(Start(NODE, sharer, app), real.cluster, real.runner)
    first = real.start(sleeps, owner)
    execute(Start(NODE, sharer, app), real.cluster, real.runner)
    networks = {real.said("exec", name, "readlink", "/proc/self/ns/net") for name in (owner, sharer)}
    assert [name.partition(":")[0] for name in networks] == ["net"]
    assert (real.listed()[sharer].shares, real.listed()[owner].id) == (first, first)
    for name in (sharer, owner):
        execute(Remove(NODE, name), real.cluster, real.runner)
    assert not real.listed()


def test_a_container_made_over_the_line_is_the_same_as_one_made_by_a_command(real: Real) -> None:
    full = replace(said_to_the_api(parse_app(SERVICE)), stop_grace_period="1s", ports=("127.0.0.1:18104:80",))
    for app in (App(WEB_IMAGE), full, App(NGINX_IMAGE, healthcheck={"tcp": "80"}, cpus=0.5)):
        command = engine.run(real.name, app, app_labels(real.cluster, real.name, "spec"), {"A": "b"}, real.host.engine)
        assert command.request is not None
        done = real.runner.engine_line.perform(command.request, 60.0)
        assert done is not None
        over_the_line = inspected(real)
        assert (over_the_line.pop("Id"), real.runner.run(engine.remove(real.name)).ok) == (done.stdout.strip(), True)
        assert real.runner.run(replace(command, request=None)).ok
        by_command = inspected(real)
        assert by_command.pop("Id") != done.stdout.strip()
        assert over_the_line == by_command
        assert real.runner.run(engine.remove(real.name)).ok


def test_a_secret_is_where_it_should_be_and_nowhere_else_also_after_a_restart(real: Real) -> None:
    with in_no_command_line(TELLING):
        execute(Start(NODE, real.name, secret_places.app(real.name, "1")), real.cluster, real.runner, lambda *_: VALUE.encode())
    show = ("docker", "exec", real.name, "sh", "-c", secret_places.SHOW)
    assert secret_places.said(real.runner, *show) == secret_places.SHOWN
    seen = secret_places.seen_of(real.runner, real.name)
    assert (real.name in seen, TELLING in seen, "hunter2" in seen) == (True, False, False)
    assert real.runner.run(engine.kill(real.name)).ok
    execute(Restart(NODE, real.name, real.name), real.cluster, real.runner)
    assert secret_places.said(real.runner, *show) == secret_places.SHOWN
    # In the place of a container of this name: the engine has read the variables before it refuses the name.
    execute(Start(NODE, real.name, secret_places.app(real.name, "2")), real.cluster, real.runner, lambda *_: b"new")
    assert secret_places.said(real.runner, *show).startswith("newnewnew")
    assert secret_places.said(real.runner, *show).endswith("new")
    assert secret_places.volumes_of(real.runner, real.name) == []


def test_a_read_only_container_with_a_tmpfs_over_its_secrets_has_them_too_and_leaves_nothing(real: Real) -> None:
    for revision in ("1", "2"):
        app = secret_places.app(real.name, revision, read_only=True, tmpfs=["/run"])
        execute(Start(NODE, real.name, app), real.cluster, real.runner, lambda _, revision: f"value {revision}".encode())
    show = "cat /run/secrets/db /run/secrets/sub/own; printenv DB_PASSWORD; touch /run/x /x"
    said = secret_places.said(real.runner, "docker", "exec", real.name, "sh", "-c", show)
    assert said.startswith("value 2value 2value")
    assert "'/x': Read-only file system" in said
    assert "/run/x" not in said
    (volume,) = secret_places.volumes_of(real.runner, real.name)
    assert volume in secret_places.volumes(real.runner)
    execute(Remove(NODE, real.name), real.cluster, real.runner)
    assert volume not in secret_places.volumes(real.runner)


def test_sctp_is_published_or_refused_in_the_engines_words(real: Real) -> None:
    """A kernel without the protocol refuses it; the form is right."""
    app = App(WEB_IMAGE, ports=("127.0.0.1:18103:84/sctp",))
    done = real.runner.run(engine.run(real.name, app, app_labels(real.cluster, real.name, "spec"), {}))
    if done.ok:
        assert real.listed()[real.name].ports == ("127.0.0.1:18103:84/sctp",)
    else:
        assert "sctp" in done.stderr.lower() or "protocol" in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("way", ["line", "command"])
def test_a_container_of_the_same_name_is_replaced(both_ways: Real) -> None:
    real = both_ways
    first = real.start()
    second = real.start(App(WEB_IMAGE, env={"NEW": "1"}))
    assert first != second
    assert {name: (seen.id, seen.running) for name, seen in real.listed().items()} == {real.name: (second, True)}


@pytest.mark.parametrize("way", ["line", "command"])
def test_an_image_that_is_not_there_is_told_with_the_command_that_brings_it(both_ways: Real) -> None:
    real = both_ways
    failure = real.refusal(App("localhost/there/is/none"))
    assert "push-image localhost/there/is/none" in failure.remedy
    assert not failure.conflict


def test_a_short_name_means_what_docker_means_by_it_and_what_is_there_wins(real: Real) -> None:
    with pytest.raises(EngineRefused, match=r"docker\.io") as caught:
        execute(Start(NODE, real.name, App("there-is-none", real.name)), real.cluster, real.runner)
    assert "push-image there-is-none" in caught.value.remedy
    if real.host.engine == PODMAN:
        execute(Start(NODE, real.name, App(NGINX_IMAGE.removeprefix("localhost/"), real.name)), real.cluster, real.runner)
        assert real.listed()[real.name].image.startswith(NGINX_IMAGE)


def test_a_pinned_start_runs_that_image_whatever_its_tag_means_or_refuses_with_the_next_step(real: Real) -> None:
    tag = f"localhost/{unique_name()}:1"
    real.start()
    real.must("tag", WEB_IMAGE, tag)
    try:
        pin = identify(Question("web", "s", NODE, tag), real.runner)
        assert pin is not None
        real.must("commit", real.name, tag)
        assert identify(Question("web", "s", NODE, tag), real.runner) != pin
        pinned = f"{real.name}-pinned"
        execute(Start(NODE, pinned, App(tag, pinned), pin=pin), real.cluster, real.runner)
        found = identify(Question("web", "s", NODE, container=pinned), real.runner)
        assert (found and found.id, real.listed()[pinned].image) == (pin.id, tag)
        with pytest.raises(NodeRefused, match=f"push-image {tag} --to {NODE}"):
            execute(Start(NODE, f"{pinned}-2", App(tag, pinned), pin=Pin("0" * 64, ())), real.cluster, real.runner)
        assert f"{pinned}-2" not in real.listed()
    finally:
        real.runner.run(Command(("docker", "rmi", tag)))


@pytest.mark.parametrize("way", ["line", "command"])
def test_what_only_this_node_refuses_is_told_from_what_every_node_would(both_ways: Real) -> None:
    real = both_ways
    real.start(App(WEB_IMAGE, ports=("127.0.0.1:18080:80",)), f"{real.name}-first")
    port = real.nodes_own(App(WEB_IMAGE, ports=("127.0.0.1:18080:80",)), f"{real.name}-second")
    assert (port.kind, port.why) == (PORT, "port 127.0.0.1:18080 is in use")
    address = real.nodes_own(App(WEB_IMAGE, ports=("192.0.2.77:18080:80",)), f"{real.name}-third")
    assert (address.kind, address.why) == (ADDRESS, "192.0.2.77:18080 is not an address of this node")
    # Podman refuses any path that is missing, docker one that it cannot create.
    path = real.nodes_own(App(WEB_IMAGE, volumes=("/proc/no/such:/data",)), f"{real.name}-fourth")
    assert (path.kind, "/proc/no/such" in path.why) == (PATH, True)
    if real.host.engine == DOCKER:
        cores = real.nodes_own(App(WEB_IMAGE, cpus=1024), f"{real.name}-fifth")
        assert (cores.kind, "fewer than the app asks for" in cores.why) == (CORES, True)


def test_an_image_for_another_processor_is_noticed_at_its_first_restart_at_the_latest(real: Real, tmp_path: Path) -> None:
    """With crun the start is refused, with runc the container ends and its log says why."""
    with image_for_another_processor(real.host.engine, tmp_path) as image:
        try:
            with pytest.raises(NodeRefused, match="the image is for another architecture"):
                start_until_it_is_refused(real, Start(NODE, real.name, App(image, real.name)))
        finally:
            real.runner.run(engine.remove(real.name))


def start_until_it_is_refused(real: Real, started: Start) -> None:
    execute(started, real.cluster, real.runner)
    until("it has ended", lambda: real.listed()[real.name].state == "exited")
    execute(Restart(NODE, real.name, real.name), real.cluster, real.runner)


@pytest.mark.parametrize("way", ["line", "command"])
def test_a_command_that_the_image_lacks_is_a_refusal_in_the_engines_words(both_ways: Real) -> None:
    real = both_ways
    failure = real.refusal(App(NGINX_IMAGE, command=("/no/such/program",)))
    assert "/no/such/program" in failure.message
    assert (failure.conflict, failure.remedy) == (False, "")


def test_the_stream_of_endings_has_a_line_for_a_container_that_ends_and_for_one_that_goes(real: Real) -> None:
    real.start(name=f"{real.name}-ends")
    real.start(name=f"{real.name}-goes")
    lines: list[bytes] = []

    def follow() -> None:
        real.runner.follow(engine.endings(real.cluster, real.host.engine), lines.append)

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    ended = f"{real.name}-ends"

    def heard_of_its_end() -> bool:
        # The stream begins some time after it was asked for: what ended before that is not in it.
        real.runner.run(engine.kill(ended))
        real.runner.run(engine.start_again(ended))
        return ended.encode() in b"".join(lines)

    until("the end is told", heard_of_its_end)
    assert real.runner.run(engine.remove(f"{real.name}-goes")).ok
    until("the removal is told", lambda: f"{real.name}-goes".encode() in b"".join(lines))


def test_a_container_that_exits_is_told_from_one_that_stays(real: Real) -> None:
    real.start(App(NGINX_IMAGE, command=("sh", "-c", "exit 3")), f"{real.name}-exits")
    real.start(name=f"{real.name}-stays")
    seen = real.runner.run(engine.still_running(f"{real.name}-exits", 1))
    assert (seen.code, seen.stdout.strip()) == (0, "3")
    assert real.runner.run(engine.still_running(f"{real.name}-stays", 1)).code == 124


def test_its_words_are_kept_and_it_ends_as_it_is_asked_to(real: Real) -> None:
    real.start(
        App(NGINX_IMAGE, command=("sh", "-c", "echo quack; echo loud >&2; trap 'exit 7' QUIT; while :; do sleep 0.1; done"))
    )
    until("it has spoken", lambda: "quack" in real.runner.run(engine.last_words(real.name)).stdout)
    assert "loud" in real.runner.run(engine.last_words(real.name)).stderr
    assert real.runner.run(engine.stop(real.name)).ok
    assert real.listed()[real.name].state == "exited"
    with pytest.raises(Conflict, match="does not run"):
        execute(Kill(NODE, real.name), real.cluster, real.runner)
    assert real.runner.run(engine.start_again(real.name)).ok
    assert real.listed()[real.name].running
    until("it has spoken again", lambda: real.runner.run(engine.last_words(real.name)).stdout.count("quack") == 2)
    # The second run alone, although its first words may be older than the start that the engine notes.
    assert sorted(last_words(real.name, real.runner).split()) == ["loud", "quack"]


@pytest.mark.parametrize("way", ["line", "command"])
def test_what_is_not_there_is_an_error_with_words(both_ways: Real) -> None:
    real = both_ways
    image = Command(("docker", "image", "inspect", "--format", "{{.Id}}", "localhost/none"))
    for command in (engine.kill("no-such-thing"), engine.start_again("no-such-thing"), image):
        done = real.runner.run(command)
        assert not done.ok
        assert "no such" in engine_words(done.stderr).lower() or "not known" in done.stderr
