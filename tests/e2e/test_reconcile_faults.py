"""The control loop under faults, on real sshd and real containers. Each test ends with desired equal to observed: exactly
one running container per app, and a stranger that nobody touched."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.cluster.services import Service, loop_service
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.command import Command
from duckconf.desired import Document, read_document
from duckconf.reach.state import reports
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.reports import ReportFile
from tests.e2e.conftest import NODE_TIMEOUT, NODES, ROOT, Declared, Live
from tests.waiting import until

pytestmark = pytest.mark.slow

KILLS = 8
APPS = ("a", "b", "c", "d", "e", "f")
# The timeout, a look, a start, and a busy machine.
MOVED_WITHIN = NODE_TIMEOUT + 30


@pytest.fixture(scope="module")
def untouched() -> dict[str, tuple[str, int]]:
    """Container and start of each app, where the test before left all six as it had found them."""
    return {}


@pytest.fixture(scope="module")
def emptied(reconciling: Live) -> Iterator[Live]:
    """The reconciling cluster, with nothing declared before and after all tests of this file."""
    yield reconciling
    Declared(reconciling).withdraw_all()


@pytest.fixture
def declared(emptied: Live) -> Declared:
    """A client of the cluster; what is declared stays so until the next test, which may go on with it."""
    return Declared(emptied)


@pytest.fixture
def running(declared: Declared, stranger: str, untouched: dict[str, tuple[str, int]]) -> Iterator[Live]:
    """Six apps that run; afterwards they run too, once each, as declared, beside an untouched stranger. They are new ones unless
    nothing has happened to them."""
    if not untouched or lives(declared.cluster) != untouched:
        declared.withdraw_all()
        declared.put_all(APPS)
    found = lives(declared.cluster)
    untouched.clear()
    before = declared.cluster.engine.must("inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}", stranger)
    yield declared.cluster
    until("desired equals observed", lambda: declared.cluster.once_each(APPS), 60)
    declared.cluster.settles()
    assert declared.cluster.engine.must("inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}", stranger) == before
    untouched.update(found if lives(declared.cluster) == found else {})


def lives(cluster: Live) -> dict[str, tuple[str, int]]:
    """Container and start of each app: what a needless restart would change."""
    return {row["Labels"]["duckconf.app"]: (row["Id"], row["StartedAt"]) for row in cluster.apps()}


def document(cluster: Live) -> Document:
    return read_document((cluster.project.state / FILE_NAME).read_text())


def test_the_loop_killed_eight_times_in_the_middle_of_its_work(running: Live, declared: Declared) -> None:
    dice = random.Random(20)
    loop = loop_service(running.project)
    for number in range(KILLS):
        chosen = dice.sample(APPS, 3)
        declared.put(chosen[0], env={"ROUND": str(number)})
        ids = running.ids()
        for name in chosen[1:]:
            running.engine.run(dice.choice(["kill", "rm"]), *(["-f"] if dice.random() < 0.5 else []), ids.get(name, "none"))
        process = loop.process()
        assert process is not None
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(dice.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        bring_up.up(running.project, modes.RECONCILE)
    until("all run as declared", lambda: running.once_each(APPS), 90)
    assert set(document(running).apps()) == set(APPS)


def test_twenty_four_puts_at_once_all_survive_and_run_once(declared: Declared) -> None:
    declared.withdraw_all()
    names = [f"p{number}" for number in range(24)]
    log = loop_service(declared.cluster.project).log
    said_before = log.stat().st_size
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(declared.put, names))
    assert set(document(declared.cluster).apps()) == set(names)
    until("all run", lambda: declared.cluster.once_each(names), 120)
    counts = Counter(declared.cluster.nodes_of().values())
    # On a machine that is busy enough a node is too slow for a pass, which is no event, and the loop says it; it then gets fewer.
    said = log.read_bytes()[said_before:].decode()
    in_time = [counts[node] for node in NODES if f"{node} is unreachable" not in said]
    assert max(in_time, default=0) - min(in_time, default=0) <= 1
    assert min(in_time, default=24) >= max(counts.values()) - 1


def test_one_node_freezes_and_then_another(running: Live, declared: Declared) -> None:
    on_third = {app for app, node in running.nodes_of().items() if node == "node-3"}
    before = lives(running)
    hosts = DemoHosts(running.project)
    try:
        hosts.freeze("node-1")
        until("its apps run on the others", lambda: running.running() == dict.fromkeys(APPS, 1), MOVED_WITHIN)
        hosts.freeze("node-2")
        until("all run on the last", lambda: running.running() == dict.fromkeys(APPS, 1), MOVED_WITHIN)
        assert {app: life for app, life in lives_on(running, "node-3").items() if app in on_third} == {
            app: before[app] for app in on_third
        }
    finally:
        hosts.thaw("node-1")
        hosts.thaw("node-2")
    until("stale copies go", lambda: running.once_each(APPS), 60)
    assert set(running.nodes_of().values()) == {"node-3"}


def lives_on(cluster: Live, node: str) -> dict[str, tuple[str, int]]:
    rows = [row for row in cluster.apps() if row["Labels"]["node"] == node]
    return {row["Labels"]["duckconf.app"]: (row["Id"], row["StartedAt"]) for row in rows}


def test_all_nodes_freeze_together_and_nothing_is_stopped_or_doubled(running: Live) -> None:
    before = lives(running)
    hosts = DemoHosts(running.project)
    cursor = time.monotonic() + 2 * NODE_TIMEOUT
    try:
        for node in NODES:
            hosts.freeze(node)
        until("twice the timeout has passed", lambda: time.monotonic() > cursor, 3 * NODE_TIMEOUT)
        assert lives(running) == before
    finally:
        for node in NODES:
            hosts.thaw(node)
    until("all answer again", lambda: running.inv("nodes").returncode == 0)
    running.settles()
    assert lives(running) == before


def test_a_node_whose_answers_cannot_be_read_is_never_lost_and_is_named_by_doctor(running: Live) -> None:
    before, host = lives(running), running.host("node-2")
    shell = "echo Welcome; echo Bonjour >&2; test -e /tmp/other && echo Please login as admin && exit 0"
    running.engine.must("exec", host, "sh", "-c", f"touch /tmp/other; echo '{shell}' >/root/.bashrc")
    try:
        # The open connection has a line to the engine that no login file can reach any more.
        running.engine.must("exec", host, "pkill", "-f", "^sshd: root")
        until("the loop says so", lambda: "unreadable" in statuses(running))
        end = time.monotonic() + NODE_TIMEOUT + 4
        until("more than the timeout has passed", lambda: time.monotonic() > end, 3 * NODE_TIMEOUT)
        assert statuses(running) == {"ready", "unreadable"}
        assert lives(running) == before
        examined = running.inv("doctor", "node-2")
        assert examined.returncode == 1
        assert "Please login as admin" in examined.stdout
        assert "answers, but its answer cannot be read" in running.inv("nodes").stderr
        # What only prints is skipped, also before the events and the line to the engine.
        running.engine.must("exec", host, "rm", "/tmp/other")
        until("it is ready again", lambda: statuses(running) == {"ready"})
        assert lives(running) == before
    finally:
        running.engine.must("exec", host, "rm", "-f", "/root/.bashrc", "/tmp/other")


def test_nothing_is_done_on_a_node_that_calls_itself_otherwise(running: Live) -> None:
    before, host = lives(running), running.host("node-2")
    write_inside(running, host, "/etc/duckconf/node", "other\n")
    try:
        restart_sshd(running, host)
        until("the loop says so", lambda: "unreadable" in statuses(running))
        end = time.monotonic() + NODE_TIMEOUT + 4
        until("more than the timeout has passed", lambda: time.monotonic() > end, 3 * NODE_TIMEOUT)
        assert statuses(running) == {"ready", "unreadable"}
        assert lives(running) == before
        told = running.inv("nodes")
        assert (told.returncode, "node-2: calls itself other" in told.stderr) == (4, True)
        assert "./inv provision --limit node-2" in told.stderr
    finally:
        write_inside(running, host, "/etc/duckconf/node", "node-2\n")
    until("it is ready again", lambda: statuses(running) == {"ready"})
    assert lives(running) == before


def test_the_engines_socket_goes_and_comes_back(running: Live, declared: Declared) -> None:
    before = lives(running)
    engine = Service("engine", running.project.state)
    assert engine.stop()
    until("the loop hears nobody", lambda: statuses(running) == {"unreachable"})
    declared.put("late")
    assert lives(running) == before
    bring_up.up(running.project, modes.RECONCILE)
    until("the new app runs", lambda: running.running()["late"] == 1, 40)
    assert {app: life for app, life in lives(running).items() if app != "late"} == before
    declared.withdraw("late")


def statuses(cluster: Live) -> set[str]:
    report = ReportFile(cluster.project.state / reports.FILE_NAME).read()
    return {view.status for view in report.nodes.values()} if report else set()


def test_a_node_destroyed_is_made_anew_by_up_and_takes_its_apps_back(running: Live) -> None:
    before = lives(running)
    running.engine.must("rm", "-f", "-t", "0", running.host("node-2"))
    bring_up.up(running.project, modes.RECONCILE)
    until("it answers", lambda: running.inv("nodes").returncode == 0)
    # Its apps are siblings of the host on the shared engine and went on: they are recognised, not started again.
    running.settles()
    assert lives(running) == before


def test_a_nodes_clock_is_an_hour_ahead_and_then_behind(running: Live) -> None:
    """Every program that starts on the node sees another time; a container has no clock of its own that could be set."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    before, host = running.ids(), running.host("node-1")
    running.engine.must("cp", str(library), f"{host}:/usr/local/lib/libfaketime.so.1")
    try:
        for hours in (1, -1):
            write_inside(running, host, "/etc/faketimerc", f"{hours:+d}h\n")
            write_inside(running, host, "/etc/ld.so.preload", "/usr/local/lib/libfaketime.so.1\n")
            restart_sshd(running, host)
            until("it answers", lambda: running.inv("nodes").returncode == 0)
            with open_cluster(running.project) as opened:
                there = int(opened.fleet.runner("node-1").run(Command(("date", "+%s"))).stdout)
            assert abs(there - time.time() - hours * 3600) < 60
            victim = next(app for app, node in running.nodes_of().items() if node == "node-1")
            running.engine.must("kill", running.ids()[victim])
            until("a crash heals", lambda: running.once_each(APPS), 40)
    finally:
        running.engine.must("exec", host, "rm", "-f", "/etc/ld.so.preload", "/etc/faketimerc")
        restart_sshd(running, host)
    until("it answers", lambda: running.inv("nodes").returncode == 0)
    assert running.ids() == before


def restart_sshd(cluster: Live, host: str) -> None:
    cluster.engine.must("exec", host, "systemctl", "restart", "ssh")
    cluster.engine.run("exec", host, "pkill", "-f", "sshd: root")


def write_inside(cluster: Live, host: str, path: str, content: str) -> None:
    cluster.engine.must("exec", "-i", host, "tee", path, stdin=content.encode())


def test_a_person_pauses_and_removes_containers_and_the_loop_copes(running: Live) -> None:
    ids = running.ids()
    running.engine.must("pause", ids["a"])
    running.engine.must("rm", "-f", "-t", "0", ids["b"])
    until("b is back", lambda: running.running()["b"] == 1)
    assert running.state_of(ids["a"]) == "paused"
    running.engine.must("unpause", ids["a"])


def test_a_second_loop_is_refused(running: Live) -> None:
    argv = [sys.executable, "-m", "controllers.loop", "--project", str(ROOT)]
    refused = subprocess.run(argv, env=running.environ, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert "in use by the reconciler" in refused.stderr
