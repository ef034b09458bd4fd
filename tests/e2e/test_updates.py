"""Updates on real nodes: step by step, under load, across a killed loop, and taken back when they fail."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus

import pytest
import yaml

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.services import loop_service
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from tests.e2e.conftest import NODE_TIMEOUT, NODES, Declared
from tests.e2e.moved_tag import all_run_the_image_of_their_revision, ids, moved_tag
from tests.e2e.updated import PAUSE, QUICK, env_of, floor, history_of, revisions
from tests.waiting import until

pytestmark = pytest.mark.slow


@contextmanager
def load(declared: Declared, app: str) -> Iterator[list[int]]:
    """Asks every instance that the API shows as ready, again and again, as a client does that looks once more before it gives up;
    the number of those that answered in each round. Fails when one that is still shown as ready does not answer."""
    rounds: list[int] = []
    failed: list[str] = []
    ended = threading.Event()

    def ready() -> dict[str, str]:
        told = declared.api.call("GET", f"/app/{app}")["instances"]
        return {one["container"]: one["published"][0] for one in told if one.get("ready") and one.get("published")}

    def ask() -> None:
        while not ended.wait(PAUSE):
            found = ready()
            silent = {container for container, port in found.items() if not answers(port)}
            again = ready() if silent else {}
            failed.extend(name for name in silent if name in again and not answers(again[name]))
            rounds.append(len(found) - len(silent))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield rounds
    finally:
        ended.set()
        thread.join()
    assert not failed
    assert rounds


def answers(published: str) -> bool:
    """Whether the port, such as 40001:80/tcp, serves a page."""
    port = published.split(":")[-2]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def test_an_update_replaces_twelve_replicas_step_by_step_although_the_loop_is_killed(declared: Declared) -> None:
    inv = declared.cluster.inv
    policy = (*QUICK, "--update-config", "parallelism=3")
    start = ("start-app", WEB_IMAGE, "--name", "web", "--replicas", "12", "--port", "80", "--env", "A=1", *policy, "--wait")
    assert inv(*start).returncode == 0
    until("the first revision has served", lambda: revisions(declared.cluster, "web") == [(1, "done")])
    with floor(declared.cluster, "web") as counts, load(declared, "web") as answered:
        assert inv("update", "web", "--env", "A=2").returncode == 0
        for share in (2, 5, 8):
            until("it is on its way", lambda share=share: env_of(declared.cluster, "web").count("A=2") >= share)  # type: ignore[misc]
            process = loop_service(declared.cluster.project).process()
            assert process is not None
            process.kill()
            process.wait(10)
            bring_up.up(declared.cluster.project, modes.RECONCILE)
        until("it is done", lambda: revisions(declared.cluster, "web") == [(1, "done"), (2, "done")], 60)
        until("the old ones are gone", lambda: env_of(declared.cluster, "web") == ["A=2"] * 12)
    # Beside three that begin there are those that are being removed.
    assert (min(counts) >= 12, max(counts) <= 15 + 6) == (True, True), (min(counts), max(counts))
    assert max(answered) == 12
    assert {node for _, node, _ in declared.cluster.instances().values()} == set(NODES)


def test_a_node_that_freezes_in_the_middle_fails_no_update_and_what_it_had_runs_elsewhere(declared: Declared) -> None:
    inv, hosts = declared.cluster.inv, DemoHosts(declared.cluster.project)
    start = ("start-app", WEB_IMAGE, "--name", "web", "--replicas", "6", "--env", "A=1", *QUICK, "--wait")
    assert inv(*start).returncode == 0
    until("the first revision has served", lambda: revisions(declared.cluster, "web") == [(1, "done")])
    assert inv("update", "web", "--env", "A=2").returncode == 0
    until("it is on its way", lambda: "A=2" in env_of(declared.cluster, "web"))
    try:
        hosts.freeze("node-2")
        until("it is done elsewhere", lambda: env_of(declared.cluster, "web") == ["A=2"] * 6, NODE_TIMEOUT + 40)
        assert revisions(declared.cluster, "web")[-1] == (2, "done")
    finally:
        hosts.thaw("node-2")
    until("stale copies go", lambda: declared.cluster.running() == {"web": 6} and len(declared.cluster.apps()) == 6, 40)
    assert {node for _, node, _ in declared.cluster.instances().values()} == {"node-1", "node-3"}
    assert env_of(declared.cluster, "web") == ["A=2"] * 6


def test_with_a_port_of_the_node_the_old_one_ends_first_and_no_more_than_one_at_a_time(declared: Declared) -> None:
    inv = declared.cluster.inv
    ports = ("--port", "18091:80", *QUICK)
    assert inv("start-app", WEB_IMAGE, "--name", "web", "--env", "A=1", *ports, "--wait").returncode == 0
    until("it has served", lambda: revisions(declared.cluster, "web") == [(1, "done")])
    foretold = inv("update", "web", "--env", "A=2", "--dry-run")
    assert (foretold.returncode, foretold.stderr) == (0, "nothing was changed (--dry-run)\n")
    for words in ("web: revision 1 → 2", "env.A: 1 → 2", "stop-first: ", "port 18091", "1. web: start web"):
        assert words in foretold.stdout
    other = json.loads(inv("start-app", WEB_IMAGE, "--name", "new", "--dry-run", "--json").stdout)
    assert [(step["round"], step["instance"], step["revision"]["after"]) for step in other["steps"]] == [(1, "new", 1)]
    assert [step["instance"] for step in json.loads(inv("scale", "web=0", "--dry-run", "--json").stdout)["steps"]] == ["web"]
    assert (env_of(declared.cluster, "web"), revisions(declared.cluster, "web"), declared.names()) == (
        ["A=1"],
        [(1, "done")],
        ["web"],
    )
    done = inv("update", "web", "--env", "A=2", "--wait")
    assert (done.returncode, "revision 2 runs on 1 instance" in done.stdout) == (0, True), done.stderr
    running = declared.cluster.instances()
    missing = inv("update", "web", "--image", "localhost/nothing/here:1", "--wait")
    assert (missing.returncode, "revision 3 failed" in missing.stderr) == (1, True), missing.stderr
    assert (declared.cluster.instances(), env_of(declared.cluster, "web")) == (running, ["A=2"])


def test_what_fails_is_taken_back_with_its_last_words_and_a_person_can_go_back_too(declared: Declared) -> None:
    inv = declared.cluster.inv
    start = ("start-app", NGINX_IMAGE, "--name", "web", "--replicas", "3", "--env", "A=1", *QUICK, "--wait")
    assert inv(*start).returncode == 0
    until("it has served", lambda: revisions(declared.cluster, "web") == [(1, "done")])
    before = declared.cluster.instances()
    with floor(declared.cluster, "web") as counts:
        broken = inv("update", "web", "--entrypoint", "sh", "--command", "-c 'echo no database; exit 3'", "--wait")
        assert (broken.returncode, broken.stdout) == (1, "")
        for words in ("revision 2 failed", "its last output: no database", "revision 1 serves"):
            assert words in broken.stderr
        assert "Traceback" not in broken.stderr
        until("the first revision runs alone", lambda: declared.cluster.instances() == before)
        # The next one fails while a node is emptied.
        with ThreadPoolExecutor(1) as other:
            draining = other.submit(inv, "drain", "node-3")
            missing = inv("update", "web", "--image", "localhost/nothing/here:1", "--wait")
            drained = draining.result()
        assert (missing.returncode, "revision 3 failed" in missing.stderr) == (1, True), missing.stderr
        assert "revision 2 failed, so the update builds on what serves" in missing.stderr
        again = inv("update", "web", "--env", "B=1", "--env-rm", "A", "--dry-run")
        assert "revision 3 failed, so the update builds on what serves" in again.stderr
        assert [line.split(":")[0] for line in again.stdout.splitlines()[1:4]] == ["  image", "  env.A", "  env.B"]
        assert "inv redeploy web" in inv("update", "web", "--image", "localhost/nothing/here:1").stderr
        past = inv("history", "web").stdout.splitlines()
        assert [line.split()[:2] for line in past[1:]] == [["3", "failed"], ["2", "failed"], ["1", "runs"]]
        assert "entrypoint added" in past[2]
        assert drained.returncode == 0, drained.stderr
        until("the first revision runs alone", lambda: len(declared.cluster.apps()) == 3)
    assert min(counts) >= 3
    assert env_of(declared.cluster, "web") == ["A=1"] * 3
    assert "node-3" not in {node for _, node, _ in declared.cluster.instances().values()}
    assert inv("uncordon", "node-3").returncode == 0
    before = declared.cluster.instances()
    assert inv("apps").stdout.splitlines()[1].split()[2] == "3/3"
    assert inv("diff").returncode == 0
    assert revisions(declared.cluster, "web") == [(1, "done"), (2, "failed"), (3, "failed")]
    compose, kube = (inv("export", form, "--app", "web").stdout for form in ("compose", "kube"))
    assert "revision 1 serves; this is what is declared" in compose.partition("services:")[0]
    assert yaml.safe_load(compose)["services"]["web"]["image"] == "localhost/nothing/here:1"
    assert (f"image: {NGINX_IMAGE}" in kube, "localhost/nothing" in kube) == (True, False), kube
    back = inv("rollback", "web", "--wait")
    assert (back.returncode, "revision 4 runs" in back.stdout) == (0, True), back.stderr
    assert declared.cluster.instances() == before
    assert "revision 9" in inv("rollback", "web", "--to", "9").stderr


def test_all_instances_run_the_image_of_their_revision_whatever_the_tag_means_later(declared: Declared) -> None:
    cluster = declared.cluster
    try:
        with moved_tag(cluster) as moved:
            until("it is kept", lambda: "image_id" in history_of(cluster, "web")[-1])
            shown = [(row["image"], row["image_id"]) for row in json.loads(cluster.inv("ps", "--json").stdout)]
            assert shown == [(moved.tag, moved.old)] * 2
            all_run_the_image_of_their_revision(cluster, moved)
    finally:
        declared.withdraw("web")
        until("it is gone", lambda: not ids(cluster))


def test_a_paused_update_rests_until_it_is_resumed(declared: Declared) -> None:
    inv = declared.cluster.inv
    assert inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "2", "--env", "A=1", *QUICK, "--wait").returncode == 0
    until("it has served", lambda: revisions(declared.cluster, "web") == [(1, "done")])
    assert inv("pause", "web").returncode == 0
    assert inv("update", "web", "--env", "A=2").returncode == 0
    until("the loop has seen it", lambda: revisions(declared.cluster, "web")[-1] == (2, ""))
    assert env_of(declared.cluster, "web") == ["A=1"] * 2
    assert "paused" in inv("apps").stdout
    rests = inv("diff")
    assert (rests.returncode, rests.stdout) == (0, "web: revision 2: 0 of 2 instances updated, paused\n")
    assert inv("resume", "web").returncode == 0
    until("it is done", lambda: revisions(declared.cluster, "web")[-1] == (2, "done"))
    until("the old ones are gone", lambda: env_of(declared.cluster, "web") == ["A=2"] * 2)
