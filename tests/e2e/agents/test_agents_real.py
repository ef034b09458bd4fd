"""Agents mode on real hosts: control plane and agents put there by the roles, then broken. Each test ends with every app
running exactly once, where the state says, and a stranger that nobody touched."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.errors import DuckconfError
from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.state.data import read_held
from tests.e2e import typed
from tests.e2e.agents.fleet import (
    APPS,
    UNITS,
    answers,
    apps,
    events,
    journal,
    killed,
    lives,
    nodes,
    systemctl,
)
from tests.e2e.client import asked_all_the_time
from tests.e2e.conftest import NODE_TIMEOUT, NODES, SOON_READY, Live
from tests.e2e.full_service import SLEEPING
from tests.e2e.updated import QUICK
from tests.e2e.watched import in_no_command_line, telltale
from tests.waiting import until

pytestmark = pytest.mark.slow

KILLS = 6
# Seconds for which the API is away; by hand for minutes.
AWAY = float(os.environ.get("DUCKCONF_TEST_AWAY", 2.5 * NODE_TIMEOUT))


def test_apps_are_submitted_without_a_node_spread_and_the_same_put_twice_is_one_container(running: Live, api: ApiClient) -> None:
    assert set(running.nodes_of().values()) == set(NODES)
    before = lives(running)
    api.call("PUT", "/app/a", {"image": WEB_IMAGE})
    api.call("PUT", "/app/a", {"image": WEB_IMAGE, "env": {"NEW": "1"}})
    until("it is replaced", lambda: lives(running).get("a", before["a"]) != before["a"] and running.once_each(APPS))
    changed = lives(running)
    api.call("PUT", "/app/a", {"image": WEB_IMAGE, "env": {"NEW": "1"}})
    running.engine.must("kill", running.ids()["b"])
    until("the crash is healed", lambda: running.once_each(APPS))
    assert (lives(running)["a"], running.ids()["b"]) == (changed["a"], before["b"][0])


def test_a_node_cut_off_keeps_its_apps_and_one_copy_remains_when_the_cut_heals(running: Live, api: ApiClient) -> None:
    cut_off = next(app for app, node in running.nodes_of().items() if node == "node-3")
    copy = running.ids()[cut_off]
    pid = running.engine.must("inspect", "--format", "{{.State.Pid}}", running.host("node-3"))
    address = running.engine.must(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", running.host("control-1")
    )
    chain = "add table ip cut; add chain ip cut out { type filter hook output priority 0; }"
    rule = f"{chain}; add rule ip cut out ip daddr {address} drop"
    inside(pid, rule)
    try:
        until("a copy runs elsewhere", lambda: running.running()[cut_off] == 2, NODE_TIMEOUT + 30)
        assert running.state_of(copy) == "running"
    finally:
        inside(pid, "delete table ip cut")
    until("one copy remains", lambda: running.once_each(APPS), 60)
    assert running.ids()[cut_off] != copy


def inside(pid: str, rules: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "nft", rules], check=True)


def test_all_nodes_are_cut_off_together_and_nothing_is_unscheduled(running: Live, api: ApiClient) -> None:
    before, placed = lives(running), running.nodes_of()
    last = max(event["time"] for event in events(api))
    pid = running.engine.must("inspect", "--format", "{{.State.Pid}}", running.host("control-1"))
    find = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    addresses = running.engine.must("inspect", "--format", find, *(running.host(node) for node in NODES)).split()
    chain = "add table ip cut; add chain ip cut in { type filter hook input priority 0; }"
    inside(pid, f"{chain}; add rule ip cut in ip saddr {{ {', '.join(addresses)} }} drop")
    try:
        until("all are silent", lambda: {node["status"] for node in nodes(api)} == {"unreachable"}, NODE_TIMEOUT + 20)
        silent = min(node["age"] for node in nodes(api))
        until("for another timeout", lambda: min(node["age"] for node in nodes(api)) > silent + NODE_TIMEOUT, 20)
        assert any(event["kind"] == "brake" for event in events(api) if event["time"] > last)
        assert {app["name"]: app["node"] for app in apps(api)} == placed
    finally:
        inside(pid, "delete table ip cut")
    until("all are back", lambda: {node["status"] for node in nodes(api)} == {"ready"}, 40)
    assert (lives(running), {app["name"]: app["node"] for app in apps(api)}) == (before, placed)


def test_the_api_is_away_for_long_and_no_app_restarts_or_moves(running: Live, api: ApiClient, tmp_path: Path) -> None:
    before, placed = lives(running), running.nodes_of()
    assert running.inv("stop-api").returncode == 0
    gone = time.monotonic()
    try:
        # What needs no API goes on without it.
        with typed.running(running, tmp_path / "logs", "logs", "a", "-f") as followed:
            said = running.inv("exec", "a", "--", "/bin/busybox", "sh", "-c", "echo quack >/proc/1/fd/1")
            assert said.returncode == 0, said.stderr
            until("it is followed", lambda: "quack" in followed.out, 30)
        until("it was away for long", lambda: time.monotonic() > gone + AWAY, AWAY + 1)
        assert lives(running) == before
    finally:
        assert running.inv("start-api").returncode == 0
    until("the API answers", lambda: answers(api))
    until("all are ready", lambda: {row["status"] for row in nodes(api)} == {"ready"}, 40)
    until("all are seen", lambda: {app["status"] for app in apps(api)} == {"running"}, 40)
    assert (lives(running), {app["name"]: app["node"] for app in apps(api)}) == (before, placed)


def test_a_second_agent_of_a_nodes_name_is_refused_and_touches_nothing(running: Live, api: ApiClient) -> None:
    """On node-3, told to be node-1 with node-1's token, as a copied machine is: its own apps would be missing there."""
    before, placed = lives(running), running.nodes_of()
    host, twin = running.host("node-3"), "/run/twin"
    running.engine.must("exec", host, "mkdir", "-m", "700", twin)
    running.engine.must("cp", str(running.project.state / "tokens" / "node-1"), f"{host}:{twin}/token")
    config = json.loads(running.engine.must("exec", running.host("node-1"), "cat", "/etc/duckconf/agent.json"))
    config |= {"token_file": f"{twin}/token", "state_dir": f"{twin}/state", "interval": 1.0}
    running.engine.must("exec", host, "sh", "-c", 'printf %s "$1" > "$2"', "sh", json.dumps(config), f"{twin}/agent.json")
    agent = ("/usr/bin/python3", "-I", "/usr/local/lib/duckconf/agent.pyz", "--config", f"{twin}/agent.json")
    # As the role has it: what the agent started is not ended with it.
    unit = ("systemd-run", "--unit=twin", "--property=KillMode=process", "--property=TimeoutStopSec=10")
    running.engine.must("exec", host, *unit, *agent)
    try:
        until("it says why", lambda: "another agent with the name node-1 is running" in journal(running, "node-3", "twin"), 30)
        heard = heartbeat(api, "node-1")
        until("the first one is heard on", lambda: heartbeat(api, "node-1") > heard, 40)
        assert running.engine.must("exec", host, "systemctl", "is-active", "twin") == "active"
        assert (lives(running), running.nodes_of()) == (before, placed)
    finally:
        running.engine.run("exec", host, "systemctl", "stop", "twin")
        running.engine.run("exec", host, "rm", "-r", twin)


def heartbeat(api: ApiClient, name: str) -> float:
    return float(next(row["heartbeat"] for row in nodes(api) if row["name"] == name))


def test_the_api_is_away_a_crash_heals_and_a_node_that_reboots_starts_its_apps(running: Live, api: ApiClient) -> None:
    placed = running.nodes_of()
    assert running.inv("stop-api").returncode == 0
    try:
        running.engine.must("kill", running.ids()["a"])
        until("the crash is healed", lambda: running.once_each(APPS), 40)
        before = lives(running)
        node = placed["c"]
        DemoHosts(running.project).reboot(node)
        until("its app is back", lambda: running.once_each(APPS), 60)
    finally:
        assert running.inv("start-api").returncode == 0
    until("the API answers", lambda: answers(api))
    until("all are ready", lambda: {row["status"] for row in nodes(api)} == {"ready"}, 40)
    here = {app: life for app, life in lives(running).items() if placed[app] != node}
    assert here == {app: before[app] for app in here}
    assert running.nodes_of() == placed


def test_every_component_killed_again_and_again_loses_no_write_and_restarts_no_app(running: Live, api: ApiClient) -> None:
    before = lives(running)
    dice = random.Random(6)
    acknowledged = []

    def write(number: int) -> None:
        # Cordoned everywhere, these apps are state alone: what is written must be there, and nothing needs to run.
        name = f"w{number}"
        while True:
            try:
                api.call("PUT", f"/app/{name}", {"image": WEB_IMAGE}, deadline=5.0)
                acknowledged.append(name)
                return
            except DuckconfError:
                until("the API is back", lambda: answers(api))

    for node in NODES:
        api.call("PUT", f"/node/{node}", {"cordoned": True})
    try:
        for kill in range(KILLS):
            with ThreadPoolExecutor(4) as pool:
                writes = [pool.submit(write, number) for number in range(20 * kill, 20 * kill + 20)]
                victims = [("control-1", dice.choice(UNITS)), (dice.choice(NODES), "duckconf-agent")]
                back = [killed(running, host, unit) for host, unit in victims]
                for done in writes:
                    done.result()
            for again in back:
                until("systemd started it again", again, 30)
        until("the API answers", lambda: answers(api))
        assert {app["name"] for app in apps(api)} == {*APPS, *acknowledged}
        assert len(acknowledged) == 20 * KILLS
        for name in acknowledged:
            api.call("DELETE", f"/app/{name}")
    finally:
        for node in NODES:
            api.call("PUT", f"/node/{node}", {"cordoned": False})
    assert lives(running) == before


def test_agents_are_restarted_as_for_an_upgrade_and_no_app_restarts(running: Live, api: ApiClient) -> None:
    before = lives(running)
    for node in NODES:
        systemctl(running, node, "restart", "duckconf-agent")
    heard = {node["name"]: node["heartbeat"] for node in nodes(api)}
    until("all are heard again", lambda: all(node["heartbeat"] > heard[node["name"]] for node in nodes(api)), 40)
    until(
        "all ask their engine over a line, not by a program for each look",
        lambda: all(has_line(running, node) for node in NODES),
        30,
    )
    assert lives(running) == before


def has_line(cluster: Live, node: str) -> bool:
    programs = cluster.engine.must("exec", cluster.host(node), "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    return "system dial-stdio" in programs


def test_a_node_is_drained_app_by_app_and_gets_nothing_until_it_is_uncordoned(running: Live, api: ApiClient) -> None:
    done = running.inv("drain", "node-1")
    assert done.returncode == 0, done.stderr
    try:
        until("it is empty", lambda: "node-1" not in running.nodes_of().values() and running.once_each(APPS), 40)
        with pytest.raises(DuckconfError, match="cordoned"):
            api.call("PUT", "/app/a", {"node": "node-1"})
    finally:
        assert running.inv("uncordon", "node-1").returncode == 0


def test_a_redeployed_app_has_a_new_container_that_nobody_takes_for_a_crash(running: Live, api: ApiClient) -> None:
    before = lives(running)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    for _ in range(2):
        last = lives(running)["a"]
        done = running.inv("redeploy", "a")
        assert (done.returncode, "the agents start it from the image" in done.stdout) == (0, True), done.stderr
        until("it runs anew", lambda: running.once_each(APPS) and lives(running)["a"] != last)  # noqa: B023
    until("the API sees it", lambda: {app["status"] for app in apps(api)} == {"running"}, 40)
    assert api.call("GET", "/app/a")["restarts"] == 0
    assert {app: life for app, life in lives(running).items() if app != "a"} == {"b": before["b"], "c": before["c"]}
    events = api.call("GET", f"/events?since={cursor}")["events"]
    assert {event["kind"] for event in events if event.get("app") == "a"} <= {"updated", "started", "removed", "update-done"}


def test_replicas_are_spread_heal_one_by_one_and_are_scaled(running: Live, api: ApiClient) -> None:
    done = running.inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "3", "--wait")
    assert (done.returncode, "web: 3/3 instances run" in done.stdout) == (0, True), done.stderr
    before = running.instances()
    assert {before[name][1] for name in ("web", "web.2", "web.3")} == set(NODES)
    foretold = json.loads(running.inv("update", "web", "--env", "A=2", "--dry-run", "--json").stdout)
    assert [change["field"] for change in foretold["apps"][0]["changes"]] == ["env.A"]
    starts = [step for step in foretold["steps"] if step["action"].startswith("start")]
    assert {(step["instance"], step["node"]) for step in starts} == {
        (name, before[name][1]) for name in ("web", "web.2", "web.3")
    }
    running.engine.must("kill", before["web.3"][0])
    until("it is healed", lambda: running.once_each([*APPS, *["web"] * 3]) and running.instances()["web.3"] != before["web.3"])
    del before["web.3"]
    assert running.instances().items() >= before.items()
    grown = running.inv("scale", "web=5", "a=2", "--wait")
    assert (grown.returncode, grown.stdout.count("instances run")) == (0, 2), grown.stderr
    until("a is scaled back", lambda: running.inv("scale", "a=1").returncode == 0 and running.running()["a"] == 1)
    lines = [line.split() for line in running.inv("apps").stdout.splitlines()[1:]]
    assert [(line[0], line[2]) for line in lines] == [("a", "1/1"), ("b", "1/1"), ("c", "1/1"), ("web", "5/5")]
    assert [row["slot"] for row in json.loads(running.inv("ps", "--json").stdout) if row["app"] == "web"] == [1, 2, 3, 4, 5]
    assert running.inv("scale", "web=1").returncode == 0
    until("one is left", lambda: running.once_each([*APPS, "web"]))
    assert running.instances().items() >= before.items() - {("web.2", before["web.2"])}
    api.call("DELETE", "/app/web")
    until("it is gone", lambda: running.once_each(APPS))


def test_jobs_end_and_what_is_done_is_run_nowhere_again(running: Live, api: ApiClient) -> None:
    job = {"image": WEB_IMAGE, "entrypoint": ["/bin/busybox"], "node": "node-2"}
    api.call("PUT", "/app/once", {**job, "command": ["true"], "restart": "no"})
    api.call("PUT", "/app/bad", {**job, "command": ["false"], "restart": "on-failure:1", "node": ""})

    def shown() -> dict[str, tuple[str, str]]:
        return {app["name"]: (app["status"], app["node"]) for app in apps(api)}

    until("one is done", lambda: shown()["once"] == ("done", "node-2"), 40)
    until("the other is given up", lambda: shown()["bad"][0] == "failed (1)", 40)
    running.engine.must("rm", "-f", running.ids()["once"])
    systemctl(running, "node-2", "restart", "duckconf-agent")
    api.call("PUT", "/app/long", {**job, "command": ["sleep", "12"], "restart": "on-failure"})
    until("it runs", lambda: running.running()["long"] == 1, 40)
    hosts = DemoHosts(running.project)
    hosts.freeze("node-2")
    try:
        until("the unfinished one runs elsewhere", lambda: shown()["long"][1] not in ("", "node-2"), NODE_TIMEOUT + 30)
        assert shown()["once"] == ("done", "node-2")
        until("it is done", lambda: shown()["long"][0] == "done", 40)
    finally:
        hosts.thaw("node-2")
    until("the stale copy is gone", lambda: [row["Labels"]["duckconf.app"] for row in running.apps()].count("long") == 1, 40)
    assert "once" not in running.ids()
    assert shown()["once"] == ("done", "node-2")
    for name in ("once", "bad", "long"):
        api.call("DELETE", f"/app/{name}")
    until("they are gone", lambda: running.once_each(APPS), 40)


def test_an_app_moves_to_the_nodes_of_its_pattern_without_a_gap(running: Live, api: ApiClient) -> None:
    words = ("--name", "web", "--replicas", "2", "--on", "nodes:!node-1", *QUICK, "--wait")
    assert running.inv("start-app", WEB_IMAGE, *words).returncode == 0
    assert {running.instances()[name][1] for name in ("web", "web.2")} == {"node-2", "node-3"}
    api.call("PUT", "/app/web", {"on": "node-1"})
    fewest = 2

    def moved() -> bool:
        nonlocal fewest
        now = {name: node for name, (_, node, _) in running.instances().items() if name.startswith("web")}
        fewest = min(fewest, len(now))
        return list(now.values()) == ["node-1"] * 2 and running.once_each([*APPS, "web", "web"])

    until("it has moved", moved, 40)
    assert fewest == 2
    api.call("DELETE", "/app/web")
    until("it is gone", lambda: running.once_each(APPS))


def test_the_tasks_show_it_all(running: Live) -> None:
    def states() -> list[tuple[str, str]]:
        return sorted((row["app"], row["state"]) for row in json.loads(running.inv("ps", "--json").stdout))

    # What the agents report comes a moment after what they do.
    until("all are shown as running", lambda: states() == [(name, "running") for name in APPS])
    rows = json.loads(running.inv("nodes", "--json").stdout)
    assert [(row["status"], row["engine"], row["full"]) for row in rows] == [("ready", "podman", False)] * 3
    assert all(0 < row["disk_free"] < row["disk_total"] and row["load"] >= 0 for row in rows)
    status = running.inv("status")
    assert (status.returncode, status.stdout.count("active")) == (0, 3)
    for what in ("scheduler", "node-controller", "api", "agent@node-1", "a"):
        assert running.inv("logs", what, "--tail", "5").returncode == 0
    explained = running.inv("explain", "a").stdout
    assert "Placement took the node with the fewest instances" in explained, explained
    assert "an agent starts it again at once" in explained
    assert "node node-1\n  node-1 is ready" in running.inv("explain", "node-1").stdout
    inside = running.inv("exec", "a", "--", "/bin/busybox", "sh", "-c", "echo $DUCKCONF_APP; exit 3")
    assert (inside.returncode, inside.stdout) == (3, "a\n"), inside.stderr
    assert [row["app"] for row in json.loads(running.inv("stats", "a", "--json").stdout)] == ["a"]
    assert running.inv("diff").returncode == 0
    submitted = running.inv("start-app", WEB_IMAGE, "--name", "more", "--wait")
    assert "more runs on node-" in submitted.stdout, submitted.stderr
    told = [json.loads(line) for line in running.inv("events", "--json").stdout.splitlines()]
    assert len({event["id"] for event in told if event.get("app") == "more"}) == 1, told
    assert running.inv("stop-app", "more").returncode == 0
    until("it is gone", lambda: "more" not in running.ids())
    refused = running.inv("start-app", WEB_IMAGE)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_tokens_are_secret_and_without_one_the_api_is_closed(running: Live) -> None:
    state = running.project.state
    token = (state / "operator.token").read_text().strip()
    assert (state / "operator.token").stat().st_mode & 0o77 == 0
    with pytest.raises(DuckconfError, match="Bearer"):
        ApiClient(running.project.settings.api_url).call("GET", "/apps")
    assert token not in running.inv("logs", "api", "--tail", "500").stdout
    arguments = running.engine.must("exec", running.host("control-1"), "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert token not in arguments
    assert Path(state / "tokens" / "node-1").stat().st_mode & 0o77 == 0


def past(cluster: Live) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster.inv("history", "web", "--json").stdout)
    return found


def ended(api: ApiClient) -> list[str]:
    """The nodes where the job is done."""
    return [one["node"] for one in api.call("GET", "/app/job")["instances"] if one["status"] == "done"]


def homes_of_data(cluster: Live) -> dict[str, str]:
    return {name: data.node for name, data in read_held(cluster.project.state / "data.json").items()}


def test_the_cluster_goes_to_reconcile_and_back_and_no_app_restarts(running: Live, api: ApiClient) -> None:
    assert running.inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "3", *QUICK, "--wait").returncode == 0
    before = running.instances()
    assert running.inv("start-app", WEB_IMAGE, "--name", "short", "--wait").returncode == 0
    until("it has served", lambda: [item["outcome"] for item in past(running)] == ["done"], 40)
    job = (
        "start-app",
        WEB_IMAGE,
        "--name",
        "job",
        "--restart",
        "on-failure",
        "--entrypoint",
        "/bin/busybox",
        "--command",
        "true",
    )
    assert running.inv(*job, "--wait").returncode == 0
    until("it is done", lambda: bool(ended(api)))
    home = ended(api)
    running.engine.must("rm", "-f", running.ids()["job"])
    api.call("PUT", "/app/kept", {"image": WEB_IMAGE, "volumes": ["kept:/data"]})
    until("its data is known", lambda: "kept" in api.call("GET", "/data")["data"], 40)
    bound = {"kept": running.nodes_of()["kept"]}
    api.call("DELETE", "/app/kept")
    until("it is gone", lambda: "kept" not in running.ids(), 40)
    bring_up.up(running.project, modes.RECONCILE)
    running.settles()
    # The job is over although its container is gone, and the data is where it was.
    assert (ended(api_client(running.project)), homes_of_data(running)) == (home, bound)
    assert "job" not in running.ids()
    assert running.inv("stop-app", "short").returncode == 0
    until("it is gone", lambda: running.instances() == before)
    failed = running.inv("update", "web", "--image", "localhost/nothing/here:1", "--wait")
    assert (failed.returncode, [item["outcome"] for item in past(running)]) == (1, ["done", "failed"]), failed.stderr
    bring_up.up(running.project, modes.AGENTS)
    now = {**dict.fromkeys(APPS, 1), "job": 0, "web": 3}
    until("the agents have taken over", lambda: {app["name"]: app["running"] for app in apps(api)} == now, 40)
    assert (ended(api), api.call("GET", "/data")["data"]["kept"][0], "job" in running.ids()) == (home, bound["kept"], False)
    api.call("DELETE", "/app/job")
    # What the loop has taken back is not started by the agents.
    assert [item["outcome"] for item in past(running)] == ["done", "failed"]
    assert running.instances() == before
    assert running.inv("rollback", "web", "--wait").returncode == 0
    assert running.instances() == before
    api.call("DELETE", "/app/web")
    until("it is gone", lambda: running.once_each(APPS), 40)


def test_a_secret_reaches_its_apps_alone_also_without_the_server_and_a_new_one_replaces_them(
    running: Live, api: ApiClient, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    value = telltale()
    first.write_text(f"{value}-first")
    second.write_text(f"{value}-second")

    def shown() -> str:
        return running.engine.run("exec", running.ids()["a"], "sh", "-c", 'cat /run/secrets/db; printf %s "$DB"').stdout

    with in_no_command_line(value):
        assert running.inv("secret", "set", "db", "--from-file", str(first)).returncode == 0
        api.call("PUT", "/app/a", {"image": NGINX_IMAGE, "secrets": ["db", "db:env=DB"], **SLEEPING})
        until("it has the secret", lambda: running.once_each(APPS) and shown() == f"{value}-first" * 2, 40)
        home = running.nodes_of()["a"]
        systemctl(running, "control-1", "stop", "duckconf-api")
        try:
            running.engine.must("rm", "-f", "-t", "0", running.ids()["a"])
            until("it runs again", lambda: running.once_each(APPS) and shown() == f"{value}-first" * 2, 40)
        finally:
            systemctl(running, "control-1", "start", "duckconf-api")
            until("the API is back", lambda: answers(api), 40)
        before = running.ids()["a"]
        assert running.inv("secret", "set", "db", "--from-file", str(second)).returncode == 0
        until("it is replaced", lambda: running.ids().get("a", before) != before and shown() == f"{value}-second" * 2, 40)
    find = ("find", "/var/lib", "/etc", "/var/log", "/tmp", "-type", "f", "-name", "secrets.json")
    where = {host: running.engine.must("exec", running.host(host), *find) for host in (*NODES, "control-1")}
    assert {host for host, files in where.items() if files} == {home, "control-1"}
    told = [journal(running, "control-1", unit) for unit in UNITS] + [journal(running, home, "duckconf-agent")]
    told += [running.inv(*words).stdout for words in (("ps", "--json"), ("events", "--json"), ("secret", "list", "--json"))]
    assert value not in "".join(told)
    assert "used by a" in running.inv("secret", "remove", "db").stderr
    api.call("PUT", "/app/a", {"image": WEB_IMAGE, "command": None, "secrets": None})
    assert running.inv("secret", "remove", "db").returncode == 0


def test_a_rebalance_goes_on_when_the_scheduler_is_killed_and_no_request_fails(running: Live, api: ApiClient) -> None:
    api.call("PUT", "/node/node-3", {"cordoned": True})
    api.call("PUT", "/app/web", {"image": WEB_IMAGE, "replicas": 6, "ports": ["80"], **SOON_READY})
    try:
        until("it runs on two nodes", lambda: running.running()["web"] == 6, 40)
        until("the API sees it", lambda: {app["ready"] for app in apps(api) if app["name"] == "web"} == {6}, 40)
        api.call("PUT", "/node/node-3", {"cordoned": False})
        assert "node-3 runs 1 of 9 instances: ./inv rebalance" in running.inv("status").stdout
        planned = running.inv("rebalance", "--dry-run")
        assert (planned.returncode, len(planned.stdout.splitlines())) == (2, 3), planned
        with asked_all_the_time(running, "web") as (counts, failed):
            assert running.inv("rebalance").returncode == 0
            until("an instance is on its way", lambda: bool(api.call("GET", "/rebalance")["moving"]))
            systemctl(running, "control-1", "kill", "--signal=KILL", "duckconf-scheduler")
            done = running.inv("rebalance", "--wait")
        assert (done.returncode, "the nodes are level" in done.stdout) == (0, True), done
        assert (failed, min(counts)) == ([], 6)
        assert {node["name"]: node["apps"] for node in nodes(api)} == dict.fromkeys(NODES, 3)
        assert running.inv("rebalance", "--dry-run").returncode == 0
    finally:
        api.call("PUT", "/node/node-3", {"cordoned": False})
        api.call("DELETE", "/app/web")


def homes_of(cluster: Live, app: str) -> list[str]:
    return sorted(row["Labels"]["node"] for row in cluster.apps() if row["Labels"]["duckconf.app"] == app)


def test_a_global_app_runs_once_on_each_node_and_one_with_data_waits_for_its_own(running: Live, api: ApiClient) -> None:
    volume = f"data-{running.project.cluster}"
    api.call("PUT", "/app/everywhere", {"image": WEB_IMAGE, "mode": "global", **SOON_READY})
    api.call("PUT", "/app/db", {"image": WEB_IMAGE, "volumes": [f"{volume}:/data"], **SOON_READY})
    try:
        until("each node has one", lambda: homes_of(running, "everywhere") == sorted(NODES), 40)
        until("the data is noted", lambda: "db" in api.call("GET", "/data")["data"], 40)
        (home,) = homes_of(running, "db")
        done = running.inv("drain", home)
        assert done.returncode == 0, done.stderr
        assert f"db stays on {home}, which has its data (volume {volume})" in done.stderr
        until("it is gone there", lambda: homes_of(running, "everywhere") == sorted({*NODES} - {home}), 40)
        assert homes_of(running, "db") == [home]
        api.call("PUT", "/app/db", {"on": f"nodes:!{home}"})
        note = api.call("GET", "/app/db")["note"]
        assert f"has its data (volume {volume}), so that it stays there" in note
        assert "./inv move db --to NODE --accept-data-loss" in note
        api.call("PUT", "/app/db", {"on": None})
        assert running.inv("uncordon", home).returncode == 0
        until("each node has one again", lambda: homes_of(running, "everywhere") == sorted(NODES), 40)
        hosts = DemoHosts(running.project)
        hosts.freeze(home)
        try:
            words = f"waits for {home}, which has its data (volume {volume}): no heartbeat"
            until("it waits", lambda: words in api.call("GET", "/app/db").get("note", ""), NODE_TIMEOUT + 30)
            until("the other apps are rescheduled", lambda: all(running.running()[name] for name in APPS), NODE_TIMEOUT + 30)
            assert (homes_of(running, "db"), homes_of(running, "everywhere")) == ([home], sorted(NODES))
        finally:
            hosts.thaw(home)
        until("it runs", lambda: running.running()["db"] == 1, 40)
        until("its node is ready", lambda: {node["status"] for node in nodes(api)} == {"ready"}, 40)
        refused = running.inv("move", "db")
        assert (refused.returncode, f"on {home}, and starts without it" in refused.stderr) == (1, True)
        other = next(node for node in NODES if node != home)
        moved = running.inv("move", "db", "--to", other, "--accept-data-loss")
        assert moved.returncode == 0, moved.stderr
        until("it runs there alone", lambda: homes_of(running, "db") == [other] and running.running()["db"] == 1, 60)
    finally:
        for name in ("everywhere", "db"):
            api.call("DELETE", f"/app/{name}")
        until("they are gone", lambda: not homes_of(running, "db") and not homes_of(running, "everywhere"), 60)
        running.engine.run("volume", "rm", "-f", volume)
