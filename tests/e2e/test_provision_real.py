"""Control plane and agents put on real hosts by the roles: a cluster of its own, real Ansible, real systemd, real apps."""

from __future__ import annotations

import json
import re
import socket
import stat

import pytest

from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.roles import left as left_file
from duckconf.cli.roles.provision import ProvisionFailed, provision
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.inventory.project import load_project
from duckconf.reach.ssh.host_keys import pin
from tests.e2e.conftest import ROOT
from tests.e2e.provisioned import HOSTS, NODES, SERVICES, FirstRun, Rig, changes, done, first, rig
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["done", "first", "rig"]


def test_the_first_run_installs_and_starts_everything(rig: Rig, first: FirstRun) -> None:
    assert all(count > 0 for count in changes(first.outcomes).values())
    assert set(rig.on("control-1", "systemctl", "is-active", *SERVICES).split()) == {"active"}
    assert set(rig.on("control-1", "systemctl", "is-enabled", *SERVICES).split()) == {"enabled"}
    for node in NODES:
        assert rig.on(node, "systemctl", "is-active", "duckconf-agent") == "active"
    answer = ApiClient(rig.project.settings.api_url).call("GET", "/healthz")
    assert (answer["cluster"], answer["mode"]) == (rig.project.cluster, "agents")
    until("all nodes are ready", rig.ready, 60)


def test_a_second_run_of_the_roles_changes_nothing_and_no_log_holds_a_token(done: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    before = [done.started("control-1", *SERVICES), *(done.started(node, "duckconf-agent") for node in NODES)]
    assert changes(provision(done.project, full=True)) == dict.fromkeys(HOSTS, 0)
    assert [done.started("control-1", *SERVICES), *(done.started(node, "duckconf-agent") for node in NODES)] == before
    told = capfd.readouterr()
    assert "provisioning" in told.err
    logs = told.out + told.err + "".join(done.on(host, "journalctl", "--no-pager") for host in HOSTS)
    assert "duckconf-agent" in logs
    for token in done.tokens():
        assert token not in logs


def test_hosts_that_have_what_they_need_are_only_looked_at(done: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    assert changes(provision(done.project)) == dict.fromkeys(HOSTS, 0)
    assert "provisioning" not in capfd.readouterr().err


def test_no_command_line_ever_holds_a_token(done: Rig, first: FirstRun) -> None:
    assert any("ansible-playbook" in line for line in first.lines)
    for token in done.tokens():
        assert not [line for line in first.lines if token in line]


def test_only_who_needs_a_token_can_read_it(done: Rig) -> None:
    assert done.on("node-1", "stat", "-c", "%a %U", "/etc/duckconf/agent.token") == "600 root"
    for file in ("operator.token", "tokens.json", "control-plane.json"):
        assert done.on("control-1", "stat", "-c", "%a %U %G", f"/etc/duckconf/{file}") == "640 root duckconf-control"
        read = done.engine.run("exec", done.host("control-1"), "runuser", "-u", "nobody", "cat", f"/etc/duckconf/{file}")
        assert "Permission denied" in read.stderr
    for path in [done.project.state / "operator.token", *(done.project.state / "tokens").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("service", SERVICES)
def test_what_the_control_plane_may_do_is_narrow(done: Rig, service: str) -> None:
    rating = done.on("control-1", "systemd-analyze", "security", "--no-pager", service)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", rating)
    assert found
    assert float(found[1]) < 5
    process = done.on("control-1", "systemctl", "show", "--property=MainPID", "--value", service)
    status = done.on("control-1", "cat", f"/proc/{process}/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    assert done.on("control-1", "stat", "-c", "%U", f"/proc/{process}") == "duckconf-control"


def test_what_somebody_changed_and_stopped_by_hand_is_put_right_there_and_nowhere_else(done: Rig) -> None:
    before = {node: done.started(node, "duckconf-agent") for node in NODES}
    done.on("node-2", "sed", "-i", "s/control-1/control-9/", "/etc/duckconf/agent.json")
    done.on("control-1", "systemctl", "stop", "duckconf-scheduler")
    assert changes(provision(done.project)) == {"control-1": 1, "node-1": 0, "node-2": 2}
    assert done.on("control-1", "systemctl", "is-active", "duckconf-scheduler") == "active"
    assert "control-1:8080" in done.on("node-2", "cat", "/etc/duckconf/agent.json")
    after = {node: done.started(node, "duckconf-agent") for node in NODES}
    assert [node for node in NODES if after[node] != before[node]] == ["node-2"]


def test_an_agent_is_upgraded_without_a_restart_of_its_apps(done: Rig) -> None:
    done.api().call("POST", "/app/start", {"name": "web", "image": WEB_IMAGE})

    def running() -> list[str]:
        rows = done.engine.listing(
            "ps", f"--filter=label=duckconf.cluster={done.project.cluster}", "--filter=label=duckconf.app=web"
        )
        return [f"{row['Id']} {row['StartedAt']}" for row in rows]

    until("the app runs", lambda: len(running()) == 1, 60)
    before = running()
    for node in NODES:
        done.on(node, "sh", "-c", "echo >> /usr/local/lib/duckconf/agent.pyz")
    assert changes(provision(done.project)) == {"control-1": 0, **dict.fromkeys(NODES, 2)}
    until("all nodes are ready", done.ready, 60)
    assert running() == before
    done.api().call("DELETE", "/app/web")
    until("the app is gone", lambda: running() == [], 60)


def break_python(rig: Rig, arguments: str) -> None:
    """Have node-1's Python fail when it is called with arguments like these. Ansible itself still finds it."""
    wrapper = f'#!/bin/sh\\ncase "$*" in {arguments}) exit 3;; *) exec /usr/bin/python3.11.kept "$@";; esac\\n'
    rig.on("node-1", "sh", "-c", f"printf '{wrapper}' > /usr/bin/python3.11; chmod 755 /usr/bin/python3.11")


def test_an_agent_that_cannot_start_never_replaces_one_that_can_and_one_that_ends_at_once_fails(done: Rig) -> None:
    file = "/usr/local/lib/duckconf/agent.pyz"
    before = done.on("node-1", "sha256sum", file)
    done.on("node-1", "mv", "/usr/bin/python3.11", "/usr/bin/python3.11.kept")
    try:
        break_python(done, "*.pyz*")
        done.on("node-1", "sh", "-c", f"echo >> {file}")
        changed = done.on("node-1", "sha256sum", file)
        with pytest.raises(ProvisionFailed, match=r"node-1: install the agent: .*validate"):
            provision(done.project)
        assert done.on("node-1", "sha256sum", file) == changed
        break_python(done, "*--config*")
        with pytest.raises(ProvisionFailed, match=r"node-1: restart the agent: "):
            provision(done.project)
    finally:
        done.on("node-1", "mv", "/usr/bin/python3.11.kept", "/usr/bin/python3.11")
    provision(done.project)
    until("all nodes are ready", done.ready, 60)
    assert done.on("node-1", "sha256sum", file) == before


def test_a_token_that_was_removed_is_exchanged(done: Rig) -> None:
    path = done.project.state / "tokens" / "node-2"
    old = path.read_text().strip()
    path.unlink()
    assert changes(provision(done.project)) == {"control-1": 1, "node-1": 0, "node-2": 2}
    until("the node is heard with its new token", done.ready, 60)
    with pytest.raises(ApiRefused) as refused:
        done.api(old).call("GET", "/apps?nodeName=node-2")
    assert refused.value.status == 401


def test_a_host_that_is_down_does_not_hold_up_the_others(done: Rig) -> None:
    path = done.project.state / left_file.FILE
    left = json.loads(path.read_text())
    path.write_text(json.dumps({host: known for host, known in left.items() if host == "control-1"}))
    done.engine.must("stop", "-t", "10", done.host("node-2"))
    try:
        with pytest.raises(ProvisionFailed, match=r"^node-2: nothing listens .*; control-1, node-1 done") as failed:
            provision(done.project)
        assert failed.value.exit_code == 4
        assert sorted(json.loads(path.read_text())) == ["control-1", "node-1"]
    finally:
        done.up()
    assert changes(provision(done.project)) == dict.fromkeys(HOSTS, 0)


def test_a_host_that_shows_another_key_is_not_touched(done: Rig) -> None:
    host = done.project.inventory().hosts["node-1"]
    kept = done.project.pins.read_text()
    other = (done.project.state / "host-keys" / "node-2.pub").read_text()
    pin(done.project.pins, host.address, host.port, other)
    try:
        with pytest.raises(ProvisionFailed, match="node-1: its host key has changed"):
            provision(done.project, "node-1", full=True)
    finally:
        done.project.pins.write_text(kept)


def test_the_task_takes_a_pattern(done: Rig) -> None:
    ran = done.inv("provision", "--limit", "node-*,!node-2")
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r"^(\S+) +unchanged ", ran.stdout, re.MULTILINE) == ["node-1"]
    wrong = done.inv("provision", "--limit", "node-9")
    assert wrong.returncode == 1
    assert wrong.stderr.strip().startswith("error: no host matches 'node-9'")


def test_a_control_plane_that_is_stopped_keeps_its_state_and_frees_its_port(done: Rig) -> None:
    done.api().call("PUT", "/node/node-2", {"cordoned": True})
    state = done.project.state / "control-plane" / "control-1"
    hosts = DemoHosts(done.project)
    assert hosts.stop_control_plane(["control-1"]) == [done.host("control-1")]
    assert hosts.stop_control_plane(["control-1"]) == []
    assert (state / "nodes.json").exists()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", int(done.project.settings.api_url.rsplit(":", 1)[1])))
    done.up()
    until("the API answers", lambda: _answers(done), 30)
    cordoned = [node["name"] for node in done.api().call("GET", "/nodes")["nodes"] if node["cordoned"]]
    assert cordoned == ["node-2"]
    done.api().call("PUT", "/node/node-2", {"cordoned": False})


def test_with_tls_everybody_checks_the_certificate(done: Rig) -> None:
    """The last one: it leaves the cluster with TLS."""
    inventory = done.project.inventory_path
    inventory.write_text(inventory.read_text() + "duckconf_tls=true\n")
    url = done.project.settings.api_url.replace("http:", "https:")
    project = load_project(ROOT, {**done.environ, "DUCKCONF_API": url})
    assert all(count > 0 for count in changes(provision(project)).values())
    token = Secret((project.state / "operator.token").read_text().strip())
    trusting = ApiClient(url, token=token, ca_file=str(project.state / "tls" / "ca.pem"))

    def ready() -> bool:
        return {node["status"] for node in trusting.call("GET", "/nodes")["nodes"]} == {"ready"}

    until("all nodes are ready, over TLS", ready, 60)
    with pytest.raises(DuckconfError, match="is not trusted"):
        ApiClient(url, token=token).call("GET", "/nodes", deadline=5)
    assert done.on("control-1", "stat", "-c", "%a %U %G", "/etc/duckconf/api.key") == "640 root duckconf-control"
    assert "ca.key" not in done.on("control-1", "ls", "/etc/duckconf")
    assert changes(provision(project)) == dict.fromkeys(HOSTS, 0)


def _answers(rig: Rig) -> bool:
    try:
        return bool(ApiClient(rig.project.settings.api_url).call("GET", "/healthz", deadline=2)["status"])
    except DuckconfError:
        return False
