"""What a person sees of apps from the terminal, where a loop runs them: their logs, and why they are as they are."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from duckconf.naming import NGINX_IMAGE
from tests.e2e.conftest import ROOT, SOON_READY, Declared, Live
from tests.e2e.typed import Running, running
from tests.waiting import until

pytestmark = pytest.mark.slow

# Each instance says who it is, with a control character, and goes on counting.
TALKS = 'n=0; while :; do n=$((n+1)); printf "\\033]0;t\\007%s says %s\\n" "$DUCKCONF_APP.$DUCKCONF_SLOT" $n; sleep 0.2; done'
TALKER = {"image": NGINX_IMAGE, "command": ["sh", "-c", TALKS], "stop_signal": "SIGKILL", **SOON_READY}
WELL = ("web", "web.2", "web.3")


@pytest.fixture
def talking(declared: Declared) -> Live:
    """An app with three instances, one on each node, that talk all the time."""
    declared.api.call("PUT", "/app/web", {**TALKER, "replicas": 3})
    until("all run", lambda: sorted(declared.cluster.instances()) == list(WELL), 40)
    return declared.cluster


def test_the_logs_of_all_instances_are_merged_and_followed_where_they_move(talking: Live, tmp_path: Path) -> None:
    see_one_id(talking)
    until("all have spoken", lambda: rows_of(talking, "web", "--tail", "2").keys() == {1, 2, 3})
    see_merged_lines(talking)
    see_that_a_reader_may_leave(talking)
    with running(talking, tmp_path / "follow", "logs", "web", "-f", "--tail", "1") as followed:
        until("all are followed", lambda: all(f"web.{slot} says" in followed.out for slot in (1, 2, 3)))
        first = talking.instances()
        talking.engine.must("rm", "-f", "-t", "0", first["web.2"][0])
        until("it is replaced", lambda: talking.instances().get("web.2", first["web.2"]) != first["web.2"])
        until("its event was told", lambda: "started" in followed.err)
        until("the new one is followed", lambda: "web.2 says 2\n" in followed.out)
        lose_a_node(talking, followed)
        assert (followed.ends_at(signal.SIGINT), "Traceback" in followed.err) == (130, False)
    with running(talking, tmp_path / "end", "logs", "web", "-f", "--tail", "1") as followed:
        until("it is followed", lambda: "web.1 says" in followed.out)
        Declared(talking).withdraw("web")
        assert followed.process.wait(timeout=40) == 0
        assert "web: no instance is left" in followed.err
    until("no program is left on the nodes", lambda: not followers_on(talking))


def see_one_id(live: Live) -> None:
    """From the request that declared the app to the starts of its containers."""
    told = [json.loads(line) for line in live.inv("events", "--json").stdout.splitlines()]
    number = next(event["id"] for event in reversed(told) if event["kind"] == "declared" and event["app"] == "web")
    mine = live.inv("events", "--id", number).stdout.splitlines()
    assert sum(" started " in line for line in mine) >= 3
    assert {line.rpartition("  [")[2] for line in mine} == {f"api {number}]", f"reconciler {number}]"}
    assert "no event has the id nothing" in live.inv("events", "--id", "nothing").stderr


def rows_of(live: Live, *words: str) -> dict[int, list[str]]:
    """The lines of each slot."""
    found: dict[int, list[str]] = {}
    for row in map(json.loads, live.inv("logs", *words, "--json").stdout.splitlines()):
        found.setdefault(row["slot"], []).append(row["line"])
    return found


def see_merged_lines(live: Live) -> None:
    rows = [json.loads(line) for line in live.inv("logs", "web", "--json", "--tail", "5").stdout.splitlines()]
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert (len(rows), len({row["node"] for row in rows})) == (15, 3)
    assert rows[0]["line"].startswith("\x1b]0;t\x07web.")
    shown = live.inv("logs", "web", "--tail", "1").stdout.splitlines()
    assert sorted(line[:8] for line in shown) == ["web   | ", "web.2 | ", "web.3 | "]
    assert all(line[8:].startswith("\\x1b]0;t\\x07web.") for line in shown)
    alone = live.inv("logs", "web.2", "--tail", "1", "--raw").stdout
    assert (alone.startswith("\x1b]0;t\x07web.2 says "), alone.count("\n")) == (True, 1)
    assert live.inv("logs", "web", "--since", "1h", "--timestamps").stdout.count("says 1\n") == 3
    missing = live.inv("logs", "wbe")
    assert (missing.returncode, "no node has an app, instance or stack 'wbe'" in missing.stderr) == (1, True)


def see_that_a_reader_may_leave(live: Live) -> None:
    process = subprocess.Popen([str(ROOT / "inv"), "logs", "web", "-f"], env=live.environ, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b" says " in process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 141


def lose_a_node(live: Live, followed: Running) -> None:
    """The others go on at once, and the one that is rescheduled follows."""
    node = live.instances()["web.3"][1]
    assert live.inv("stop-node", node).returncode == 0
    try:
        before, begun = len(followed.out), time.monotonic()
        until("the others go on", lambda: followed.out[before:].count("web.1 says") > 3)
        assert time.monotonic() - begun < 5
        silent, said = f"If {node} stays silent, it is lost ", live.inv("explain", "web.3").stdout
        # On a busy machine it is lost by then.
        assert silent in said or "node-lost" in followed.err, said
        until("it is told", lambda: "node-lost" in followed.err, 30)
        assert f"node {node}\n  {node} is lost, because: " in live.inv("explain", node).stdout
        until("it is followed to another node", lambda: "web.3 says 1\n" in followed.out[before:], 30)
    finally:
        assert live.inv("start-node", node).returncode == 0
    until("one of each is left", lambda: sorted(live.instances()) == list(WELL) and len(live.apps()) == 3, 40)


def followers_on(live: Live) -> str:
    """Programs on a node that follow a log."""
    look = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'logs -[t] -f'"
    return live.engine.run("exec", live.host("node-1"), "sh", "-c", look).stdout


def test_an_app_without_a_place_is_explained_with_what_opens_one(declared: Declared) -> None:
    live = declared.cluster
    assert live.inv("start-app", NGINX_IMAGE, "--name", "big", "--reserve-memory", "900g").returncode == 0
    assert live.inv("cordon", "node-2").returncode == 0
    try:
        until("it is pending", lambda: "big has no place, because: no node fits: 1 cordoned" in live.inv("explain", "big").stdout)
        (app, instance) = json.loads(live.inv("explain", "big", "--json").stdout)
        assert (app["kind"], instance["kind"], instance["about"]) == ("app", "instance", "big")
        assert instance["why"] == ["node-1 (with less than 900G of memory left).", "node-2 (cordoned).", instance["why"][2]]
        assert instance["change"][0].startswith("./inv uncordon node-2 ")
        assert "It is cordoned: it gets no new instances" in live.inv("explain", "node-2").stdout
    finally:
        assert live.inv("uncordon", "node-2").returncode == 0
    for name in ("nobody", "big.7"):
        refused = live.inv("explain", name)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
