"""Reconcile mode as a person meets it: moving a cluster to it and back, declaring, looking, waiting."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.services import loop_service
from duckconf.healthcheck import HEALTHY
from duckconf.naming import WEB_IMAGE, push_number
from duckconf.ports import parse_port
from tests.e2e.conftest import NODES, ROOT, Declared, Live, second_checkout
from tests.e2e.sick_app import check_health, events_of, row
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_a_push_cluster_changes_its_mode_and_back_and_no_app_restarts(cluster: Live, stranger: str) -> None:
    status, first = cluster.post({"image": WEB_IMAGE, "env": {"ODD": "a 'b' \"c\", $d\n"}, "labels": {"x": "y"}})
    assert status == 201
    last = [cluster.post({"image": WEB_IMAGE, "command": ["an argument"]})[1]["app"] for _ in range(3)][-1]
    before = cluster.ids()
    started = {row["Id"]: row["StartedAt"] for row in cluster.apps()}
    try:
        bring_up.up(cluster.project, modes.RECONCILE)
        api = Declared(cluster).api
        until("all are taken over", lambda: {entry["status"] for entry in api.call("GET", "/apps")["apps"]} == {"running"})
        assert set(Declared(cluster).names()) == set(before)
        assert cluster.inv("diff").returncode == 0
        cluster.engine.must("kill", before[first["app"]])
        until("a crash heals now", lambda: cluster.once_each(before))
        assert cluster.ids() == before
        until("each has a past", lambda: (cluster.project.state / "history.json").exists())
    finally:
        bring_up.up(cluster.project, modes.PUSH)
    assert not (cluster.project.state / "history.json").exists()
    assert cluster.ids() == before
    kept = {row["Id"]: row["StartedAt"] for row in cluster.apps() if row["Id"] != before[first["app"]]}
    assert kept.items() <= started.items()
    assert push_number(cluster.post({"image": WEB_IMAGE})[1]["app"]) == push_number(last) + 1
    assert cluster.state_of(stranger) == "running"


def test_a_node_that_is_away_blocks_the_take_over_because_its_apps_would_be_strangers(cluster: Live) -> None:
    cluster.post({"image": WEB_IMAGE})
    assert cluster.inv("stop-node", "node-3").returncode == 0
    try:
        refused = cluster.inv("up", "reconcile")
        assert (refused.returncode, "cannot be adopted" in refused.stderr) == (4, True)
    finally:
        assert cluster.inv("start-node", "node-3").returncode == 0
        bring_up.up(cluster.project, modes.PUSH)


def test_a_second_checkout_with_the_same_address_changes_nothing(declared: Declared, tmp_path: Path) -> None:
    inv = second_checkout(tmp_path)
    for words in (("start-app", WEB_IMAGE), ("start-app", WEB_IMAGE, "--push")):
        argv, environ = [str(inv), *words], declared.cluster.environ
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"is that of cluster {declared.cluster.project.cluster} in {ROOT}, not of" in done.stderr
        assert "Traceback" not in done.stderr
    assert declared.names() == []


@contextmanager
def without_pins(pins: Path) -> Iterator[None]:
    aside = pins.rename(pins.with_suffix(".aside"))
    try:
        yield
    finally:
        aside.rename(pins)


def test_an_app_is_declared_awaited_shown_and_withdrawn(declared: Declared) -> None:
    inv = declared.cluster.inv
    done = inv("start-app", WEB_IMAGE, "--name", "web", "--env", "MODE=fast", "--wait")
    assert (done.returncode, "web runs on node-" in done.stdout) == (0, True), done.stderr
    rows = json.loads(inv("ps", "--json").stdout)
    assert [(row["app"], row["desired"], row["state"], row["restarts"]) for row in rows] == [("web", "yes", "running", 0)]
    assert inv("ps").stdout.split("\n")[0].split() == ["APP", "NODE", "DESIRED", "STATUS", "RESTARTS", "IMAGE", "AGE"]
    with without_pins(declared.cluster.project.pins):
        # No host would be connected to: the loop is.
        assert (json.loads(inv("ps", "--json").stdout), inv("nodes").returncode) == (rows, 0)
        assert inv("ps", "--fresh").returncode == 4
    assert inv("logs", "web").returncode == 0
    assert inv("start-app", WEB_IMAGE, "--name", "web").returncode == 1
    assert "declared" in inv("start-app", WEB_IMAGE).stdout
    assert inv("stop-app", "web").returncode == 0
    until("it is gone", lambda: "web" not in declared.cluster.ids())

    def kinds() -> set[str]:
        return {json.loads(line)["kind"] for line in inv("events", "--json").stdout.splitlines()}

    until("all is told", lambda: {"declared", "started", "withdrawn", "removed"} <= kinds(), seen=lambda: str(kinds()))
    words = inv("logs", "reconciler", "--tail", "400").stdout
    for step in ("SENSOR", "SETPOINT", "COMPARATOR", "ACTUATOR"):
        assert step in words


def test_replicas_are_spread_heal_one_by_one_are_scaled_and_taken_over_by_another_mode(declared: Declared) -> None:
    inv, instances = declared.cluster.inv, declared.cluster.instances
    done = inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "3", "--wait")
    assert (done.returncode, "web: 3/3 instances run: web on node-" in done.stdout) == (0, True), done.stderr
    before = instances()
    assert (sorted(before), {node for _, node, _ in before.values()}) == (["web", "web.2", "web.3"], set(NODES))
    declared.cluster.engine.must("kill", before["web.2"][0])
    until("it is healed", lambda: declared.cluster.once_each(["web"] * 3) and instances()["web.2"] != before["web.2"])
    assert {name: life for name, life in instances().items() if name != "web.2"} == {
        name: life for name, life in before.items() if name != "web.2"
    }
    before = instances()
    grown = inv("scale", "web=5", "--wait")
    assert (grown.returncode, "from 3 to 5 replicas; the loop starts web.4 to web.5" in grown.stdout) == (0, True), grown.stderr
    assert instances().items() >= before.items()
    rows = json.loads(inv("ps", "--json").stdout)
    assert [(row["app"], row["slot"], row["state"]) for row in rows] == [("web", slot, "running") for slot in range(1, 6)]
    shown = inv("apps").stdout.splitlines()
    assert shown[0].split()[:4] == ["NAME", "IMAGE", "READY", "NODES"]
    assert [line.split()[2] for line in shown[1:]] == ["5/5"]
    refused = inv("scale", "web=2", "nobody=3")
    assert (refused.returncode, "nobody" in refused.stderr, refused.stdout) == (1, True, "")
    look_at_another_mode(declared.cluster)
    assert inv("scale", "web=1").returncode == 0
    until("one is left", lambda: declared.cluster.once_each(["web"]))
    assert instances() == {"web": before["web"]}


def look_at_another_mode(cluster: Live) -> None:
    """Push and back, without what reconcile mode had on disk: all slots are taken over as they run."""
    before = cluster.instances()
    bring_up.up(cluster.project, modes.PUSH)
    try:
        (app,) = json.loads(cluster.inv("apps", "--json").stdout)[:1]
        assert (app["app"], app["running"]) == ("web", 1)
        assert "push mode keeps no desired state" in cluster.inv("scale", "web=2").stderr
        (cluster.project.state / "placements.json").unlink(missing_ok=True)
    finally:
        bring_up.up(cluster.project, modes.RECONCILE)
    until("all slots are taken over", lambda: json.loads(cluster.inv("apps", "--json").stdout)[0]["running"] == 5)
    assert cluster.inv("diff").returncode == 0
    assert cluster.instances() == before


def test_an_app_whose_check_fails_is_told_shown_and_restarted_until_it_is_well(declared: Declared) -> None:
    live = declared.cluster

    def heal(_: str, container: str) -> bool:
        return live.engine.run("exec", container, "/bin/busybox", "touch", "/well").ok

    check_health(live, declared.api, heal)


def test_the_check_of_an_image_counts_on_podman_without_systemd(declared: Declared, tmp_path: Path) -> None:
    live = declared.cluster
    image = f"localhost/{live.project.cluster}/checked"
    check = 'HEALTHCHECK --interval=1s --retries=2 CMD ["/bin/busybox", "test", "!", "-e", "/sick"]'
    (tmp_path / "Containerfile").write_text(f"FROM {WEB_IMAGE}\n{check}\n")
    live.engine.must("build", "-q", "--format=docker", "-t", image, str(tmp_path))
    try:
        done = live.inv("start-app", image, "--name", "checked", "--wait", "--json")
        assert done.returncode == 0, done.stderr
        assert row(live, "checked")["health"] == HEALTHY
        live.engine.must("exec", row(live, "checked")["container"], "/bin/busybox", "touch", "/sick")
        until("its check fails", lambda: any("checked is" in words for words in events_of(declared.api, "unhealthy")), 20)
        changed = declared.api.call("PUT", "/app/checked", {"healthcheck": {"disable": True}})
        assert changed["healthcheck"] == {"disable": True}
        until("it runs unchecked", lambda: row(live, "checked")["health"] == "" and live.once_each(["checked"]), 30)
    finally:
        declared.withdraw_all()
        live.engine.run("rmi", "-f", image)


def test_a_redeployed_app_has_a_new_container_and_no_other_app_restarts(declared: Declared) -> None:
    inv, ids = declared.cluster.inv, declared.cluster.ids
    for name in ("web", "other"):
        quick = ("--update-config", "monitor=1s")
        assert inv("start-app", WEB_IMAGE, "--name", name, "--port", "80", *quick, "--wait").returncode == 0
    before = ids()
    cursor = declared.api.call("GET", "/events?limit=0")["cursor"]
    for _ in range(2):
        last = ids()
        done = inv("redeploy", "web")
        assert (done.returncode, "the loop starts it from the image" in done.stdout) == (0, True), done.stderr
        until("web runs anew", lambda: declared.cluster.once_each(["web", "other"]) and ids()["web"] != last["web"])  # noqa: B023
    assert ids()["other"] == before["other"]
    until("it is seen", lambda: declared.api.call("GET", "/app/web")["status"] == "running")
    assert declared.api.call("GET", "/app/web")["restarts"] == 0
    events = declared.api.call("GET", f"/events?since={cursor}")["events"]
    kinds = {event["kind"] for event in events if event.get("app") == "web"}
    assert {"updated", "started", "removed"} <= kinds <= {"updated", "started", "removed", "update-done"}
    until("its port is shown", lambda: all(ports_of(inv("ps", "--json").stdout, name) == [80] for name in ("web", "other")))


def ports_of(listing: str, app: str) -> list[int]:
    return [parse_port(port).inside for row in json.loads(listing) if row["app"] == app for port in row["ports"]]


def test_a_hopeless_app_is_told_with_the_engines_words_and_shown_as_backoff(declared: Declared) -> None:
    inv = declared.cluster.inv
    failed = inv("start-app", "localhost/there/is/none", "--name", "hopeless", "--wait")
    assert failed.returncode == 1
    assert "localhost/there/is/none" in failed.stderr
    assert failed.stderr.count("\n") == 1

    def held_back() -> bool:
        (row,) = json.loads(inv("ps", "--json").stdout)
        return row["state"] == "backoff" and "the engine said" in row["note"]

    until("it is held back", held_back)
    declared.put_all(["hopeless-not"])
    assert declared.api.call("GET", "/app/hopeless")["status"] in ("backoff", "starting")


def test_the_diff_says_what_would_be_done_and_why(declared: Declared) -> None:
    declared.put_all(["web"])
    loop = loop_service(declared.cluster.project)
    assert loop.stop()
    try:
        declared.put("new")
        declared.put("web", env={"A": "b"})
        shown = declared.cluster.inv("diff")
        assert shown.returncode == 2
        assert "new: start new" in shown.stdout
        assert "another spec" in shown.stdout
        steps = json.loads(declared.cluster.inv("diff", "--json").stdout)["steps"]
        assert [step["app"] for step in steps] == ["new", "web"]
        assert declared.cluster.inv("status").stdout.count("stopped") == 1
    finally:
        bring_up.up(declared.cluster.project, modes.RECONCILE)
    declared.cluster.settles()


def test_bad_rows_are_shown_and_the_others_apply(declared: Declared) -> None:
    path = declared.cluster.project.state / "desired_state.csv"
    declared.put_all(["a", "b"])
    before = declared.cluster.ids()
    spoilt = path.read_text().replace("\nb,", "\nb,NO IMAGE ").replace("\na,", f"\nc,{WEB_IMAGE}\na,")
    path.write_text(spoilt)
    try:
        look_at_bad_row(declared, before)
        path.unlink()
        status = declared.cluster.inv("status").stdout
        assert ("the desired state cannot be read" in status, "apps desired" in status) == (True, False)
    finally:
        path.write_text(spoilt.replace("NO IMAGE ", ""))
    until("it is mended", lambda: declared.api.call("GET", "/apps").get("faults") is None)


def look_at_bad_row(declared: Declared, before: dict[str, str]) -> None:
    until("the good row applies", lambda: declared.cluster.running()["c"] == 1)
    status = declared.cluster.inv("status")
    assert "line 5: image" in status.stderr
    rows = {row["app"]: row for row in json.loads(declared.cluster.inv("ps", "--json").stdout)}
    assert rows["b"]["desired"] == "unclear"
    assert declared.cluster.ids().items() >= before.items()


def test_a_hand_edit_that_withdraws_most_apps_waits_until_it_is_confirmed(declared: Declared) -> None:
    path = declared.cluster.project.state / "desired_state.csv"
    declared.put_all(["a", "b", "c"])
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(row for row in rows if row[:2] not in ("a,", "b,", "c,")))
    until("status says that it waits", lambda: "./inv confirm-edit" in declared.cluster.inv("status").stderr)
    assert declared.cluster.once_each(["a", "b", "c"])
    look_at_waiting_edit(declared)
    confirmed = declared.cluster.inv("confirm-edit")
    assert (confirmed.returncode, confirmed.stderr) == (0, "")
    until("they are removed", lambda: declared.cluster.apps() == [])
    assert "inventory" not in declared.cluster.inv("events", "--limit", "5").stdout


def look_at_waiting_edit(declared: Declared) -> None:
    """Every listing shows the last good state, and one line says what to do about the edit."""
    status, ps, diff = (declared.cluster.inv(task) for task in ("status", "ps", "diff"))
    assert "3 instances desired, 3 running" in status.stdout
    assert [line.split()[2:4] for line in ps.stdout.splitlines()[1:]] == [["yes", "running"]] * 3
    assert (diff.stdout, diff.returncode) == ("", 0)
    for told in (status, ps, diff):
        assert sum("./inv confirm-edit" in line for line in told.stderr.splitlines()) == 1
    for words in (("start-app", "nginx"), ("stop-app", "a")):
        refused = declared.cluster.inv(*words)
        assert (refused.returncode, refused.stderr.count("\n"), refused.stderr.count("./inv")) == (1, 1, 1)


def test_a_broken_mode_or_task_says_so_in_one_line(declared: Declared) -> None:
    for words in (("up", "swarm"), ("stop-app", "nobody"), ("logs", "nobody"), ("cordon", "node-9"), ("ps", "--node", "node-9")):
        refused = declared.cluster.inv(*words)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
