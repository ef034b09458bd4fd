"""Commands that run once and jobs of the loop, on real sshd and real containers: exit codes, signals, and nothing left."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.services import loop_service
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import LABEL_CLUSTER, LABEL_RUN, WEB_IMAGE
from duckconf.reach.state.runs import FOLDER
from tests.e2e.conftest import ROOT, Declared, Live
from tests.waiting import until

pytestmark = pytest.mark.slow

# Ends at once when it is asked to.
LONG = "trap exit TERM; echo begun; while :; do sleep 0.1; done"
SHELL = ("--entrypoint", "/bin/busybox", "--", "sh", "-c")


def runs(cluster: Live) -> list[dict[str, Any]]:
    labels = (f"--filter=label={LABEL_CLUSTER}={cluster.project.cluster}", f"--filter=label={LABEL_RUN}")
    return cluster.engine.listing("ps", "-a", *labels)


def under_way(cluster: Live) -> list[str]:
    folder = cluster.project.state / FOLDER
    return sorted(path.name for path in folder.glob("*"))


@contextmanager
def begun(cluster: Live, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has said its first line."""
    argv = [str(ROOT / "inv"), "run", WEB_IMAGE, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, env=cluster.environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n", process.stderr and process.stderr.read()
            yield process
        finally:
            process.kill()


def test_a_command_runs_on_the_next_node_with_its_own_output_and_exit_code_and_leaves_nothing(cluster: Live) -> None:
    said = 'echo $DUCKCONF_NODE; echo "$1" >&2; exit $2'
    done = [cluster.inv("run", WEB_IMAGE, *SHELL, said, "sh", "a  'b", str(code)) for code in (7, 0)]
    assert [(run.returncode, run.stderr) for run in done] == [(7, "a  'b\n"), (0, "a  'b\n")]
    assert len({run.stdout for run in done}) == 2
    chosen = cluster.inv("run", WEB_IMAGE, "--on", "nodes:!node-1:!node-3", "--env", "A=b", *SHELL, "echo $DUCKCONF_NODE $A")
    assert (chosen.returncode, chosen.stdout) == (0, "node-2 b\n")
    assert (runs(cluster), under_way(cluster)) == ([], [])


def test_what_cannot_run_ends_with_the_engines_code_and_words(cluster: Live) -> None:
    missing = cluster.inv("run", "localhost/there/is/none:1", "--", "true")
    assert (missing.returncode, "localhost/there/is/none" in missing.stderr) == (125, True), missing.stderr
    nobody = cluster.inv("run", WEB_IMAGE, "--on", "node-9", "--", "true")
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    assert (runs(cluster), under_way(cluster)) == ([], [])


@pytest.mark.parametrize(("sent", "own", "code"), [(signal.SIGINT, 42, 42), (signal.SIGTERM, 42, 42), (signal.SIGINT, 0, 130)])
def test_a_signal_is_the_containers_and_so_is_the_exit_code_but_for_success(
    cluster: Live, sent: signal.Signals, own: int, code: int
) -> None:
    with begun(cluster, *SHELL, f"trap 'echo caught; exit {own}' INT TERM; echo begun; while :; do sleep 0.1; done") as process:
        assert len(runs(cluster)) == 1
        assert json.loads(cluster.inv("ps", "--json").stdout) == []
        process.send_signal(sent)
        assert process.wait(20) == code
        assert process.stdout is not None
        assert process.stdout.read() == "caught\n"
    assert (runs(cluster), under_way(cluster)) == ([], [])


def test_what_does_not_end_at_a_signal_is_killed_at_the_second(cluster: Live) -> None:
    with begun(cluster, *SHELL, "echo begun; exec sleep 100") as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 128 + signal.SIGKILL
    until("nothing is left", lambda: runs(cluster) == [])
    assert under_way(cluster) == []


def test_the_node_removes_it_when_nobody_attends_it_any_more(cluster: Live) -> None:
    with begun(cluster, "--on", "node-1", *SHELL, LONG) as process:
        process.kill()
        process.wait(10)
    until("nothing is left", lambda: runs(cluster) == [], 30)
    assert len(under_way(cluster)) == 1
    assert cluster.inv("run", WEB_IMAGE, "--on", "node-1", *SHELL, "true").returncode == 0
    assert under_way(cluster) == []


def test_a_node_that_freezes_meanwhile_is_told_and_has_nothing_left_when_it_thaws(cluster: Live) -> None:
    hosts = DemoHosts(cluster.project)
    with begun(cluster, "--on", "node-2", *SHELL, LONG) as process:
        hosts.freeze("node-2")
        try:
            assert process.wait(40) == 4
            assert process.stderr is not None
            assert "removed by the node itself, or else by the next ./inv run there" in process.stderr.read()
        finally:
            hosts.thaw("node-2")
    until("nothing is left", lambda: runs(cluster) == [], 40)
    assert cluster.inv("run", WEB_IMAGE, "--on", "node-2", *SHELL, "true").returncode == 0
    assert (runs(cluster), under_way(cluster)) == ([], [])


def test_a_container_that_what_it_left_keeps_from_starting_is_made_anew(declared: Declared) -> None:
    script = "test -e /pid && exit 1; touch /pid; trap exit TERM; while :; do sleep 0.1; done"
    declared.put("stale", entrypoint=["/bin/busybox", "sh", "-c", script])
    until("it runs", lambda: declared.cluster.running()["stale"] == 1, 40)
    first = declared.cluster.ids()["stale"]
    declared.cluster.engine.must("kill", first)
    anew = "did not stay up when it was started again; it is made anew"
    until("it runs anew", lambda: declared.cluster.running()["stale"] == 1 and declared.cluster.ids()["stale"] != first, 60)
    # A start is told once the node has answered, a moment after its container runs.
    until("it is told", lambda: anew in declared.cluster.inv("events", "--json").stdout)
    assert declared.cluster.inv("events", "--json").stdout.count("started again on") >= 3


JOB = {"entrypoint": ["/bin/busybox"], "command": ["true"], "restart": "no"}


def states(cluster: Live) -> dict[str, str]:
    return {row["app"]: row["state"] for row in json.loads(cluster.inv("ps", "--json").stdout)}


def test_jobs_of_the_loop_end_and_what_is_done_is_never_run_again(declared: Declared) -> None:
    cluster = declared.cluster
    declared.put("once", **JOB)
    declared.put("bad", **{**JOB, "command": ["false"]})
    declared.put("tries", **{**JOB, "command": ["false"], "restart": "on-failure:1"})
    declared.put("count", **JOB, replicas=3)
    ended = {"once": "done", "bad": "failed (1)", "tries": "failed (1)", "count": "done"}
    until("all are over", lambda: states(cluster) == ended, 60)
    waited = cluster.inv("start-app", WEB_IMAGE, "--name", "waited", "--restart", "no", "--wait", *SHELL, "sleep 3")
    assert (waited.returncode, waited.stdout.startswith("waited is done on node-")) == (0, True), (waited.stdout, waited.stderr)
    refused = cluster.inv("start-app", WEB_IMAGE, "--name", "refused", "--restart", "no", "--wait", *SHELL, "sleep 3; exit 5")
    assert (refused.returncode, "code 5" in refused.stderr) == (1, True), refused.stderr
    for name in ("waited", "refused"):
        declared.withdraw(name)
    until("both are gone", lambda: states(cluster) == ended)
    assert [line.split()[2] for line in cluster.inv("apps").stdout.splitlines()[1:]] == ["1/1", "0/1", "0/1", "3/3"]
    assert "6 instances desired, 0 running, 4 done" in cluster.inv("status").stdout
    assert {node["apps"] for node in json.loads(cluster.inv("status", "--json").stdout)["nodes"]} == {0}
    assert cluster.inv("diff").returncode == 0
    shown = cluster.inv("ps")
    assert "tries: it ended with code 1; given up after 1 restart" in shown.stderr
    assert len([row for row in cluster.apps() if row["Labels"]["duckconf.app"] == "count"]) == 3
    before = {row["Id"] for row in cluster.apps()}
    cluster.engine.must("rm", "-f", cluster.ids()["once"])
    process = loop_service(cluster.project).process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    bring_up.up(cluster.project, modes.RECONCILE)
    # It is no app to the loop, which starts one meanwhile.
    aside = cluster.inv("run", WEB_IMAGE, *SHELL, "sleep 2; echo whole")
    assert (aside.returncode, aside.stdout) == (0, "whole\n")
    declared.put("web")
    until("an app is started", lambda: cluster.running()["web"] == 1, 40)
    assert {row["Id"] for row in cluster.apps() if row["Labels"]["duckconf.app"] != "web"} < before
    assert states(cluster) == {**ended, "web": "running"}
    declared.put("once", env={"A": "b"})
    until("a changed one runs again", lambda: "once" in cluster.ids() and states(cluster)["once"] == "done", 40)
