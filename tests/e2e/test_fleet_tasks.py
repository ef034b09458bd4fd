"""The fleet from the inventory, on two real machines with engines of their own: hosts come, fail, are looked at and leave.

To the tasks they are real machines. The first one, which becomes the control plane too, is reached by IPv6 only, and so is
the API. The tests run in the order in which they stand: the first machine joins an empty group and stays, the other one
comes and goes in every mode.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from duckconf.cli.cluster import bring_up
from duckconf.cli.demo.host_files import new_key
from duckconf.naming import NODE_IMAGE, WEB_IMAGE
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.ssh.host_keys import pin
from duckconf.ssh_address import SshAddress
from tests.e2e import warm
from tests.e2e.conftest import ROOT, free_ports, second_checkout
from tests.e2e.paused import pause
from tests.e2e.updated import QUICK
from tests.waiting import until

pytestmark = pytest.mark.slow

HOSTS = ("web-1", "web-2")
INVENTORY = """# Our machines.
all:
  vars:
    duckconf_cluster: {cluster}   # apart from others
    ansible_ssh_private_key_file: {key}
  children:
    # Where apps run.
    nodes:
"""
# What the operator adds for agents mode: the first machine is the control plane too.
CONTROL_PLANE = """    control_plane:
      hosts:
        web-1:
"""
AGENTS_PORT = 8080
BOOT = """\
set -e
rm -rf /etc/duckconf /usr/local/bin/docker
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p -m 700 /root/.ssh
echo "$1" >/root/.ssh/authorized_keys
until systemctl is-system-running --wait | grep -q 'running\\|degraded'; do :; done
systemctl reset-failed ssh
systemctl restart ssh
"""


@dataclass(frozen=True)
class Machines:
    project: Project
    environ: dict[str, str]
    podman: dict[str, str]
    inventory: Path
    addresses: dict[str, SshAddress]
    written: str

    def container(self, host: str) -> str:
        return f"{self.project.cluster}-{host}"

    def engine(self, *argv: str) -> str:
        done = subprocess.run(["podman", *argv], env=self.podman, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def inv(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = warm.inv(words, self.environ, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def fingerprint(self, host: str) -> str:
        return self.engine("exec", self.container(host), "ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1]

    def add(self, *more: str, host: str = "web-2", code: int = 0) -> subprocess.CompletedProcess[str]:
        address = self.addresses[host]
        return self.inv("add-node", host, "--host", address.host, "--port", str(address.port), *more, code=code)

    def add_known(self, host: str) -> None:
        self.add("--accept-key", self.fingerprint(host), host=host)

    def apps(self) -> dict[str, str]:
        """The node of each app that runs."""
        rows = json.loads(self.inv("ps", "--json").stdout)
        return {row["app"]: row["node"] for row in rows if row["state"] == "running"}

    def nothing_was_written(self) -> bool:
        port = f":{self.addresses['web-2'].port}"
        return self.inventory.read_text() == self.written and port not in self.project.pins.read_text()


@pytest.fixture(scope="module")
def machines(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    cluster, folder = f"f{os.getpid()}", tmp_path_factory.mktemp("fleet")
    port, api_port = free_ports(2)
    addresses = {"web-2": SshAddress("127.0.0.1", port)}
    private, public = new_key()
    (folder / "key").write_bytes(private)
    (folder / "key").chmod(0o600)
    inventory = folder / "hosts.yml"
    inventory.write_text(INVENTORY.format(cluster=cluster, key=folder / "key"))
    (folder / "ssh_config").write_text(f"Host second\n  HostName 127.0.0.1\n  Port {port}\n  User root\n")
    (folder / "ansible.cfg").write_text(f"[ssh_connection]\nssh_args = -F {folder}/ssh_config\n")
    ours = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "DUCKCONF_INVENTORY": str(inventory),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://[::1]:{api_port}",
    }
    project = load_project(ROOT, {**os.environ, **ours})
    made = Machines(project, {**os.environ, **ours}, engine_env, inventory, addresses, inventory.read_text())
    try:
        # Not the engine's own network, whose addresses the engine in the machine takes for its own.
        made.engine("network", "create", "--ipv6", cluster)
        for host in HOSTS:
            options = ["--privileged", "--systemd=always", "--volume=/var/lib/containers", f"--network={cluster}"]
            options += [f"--publish=127.0.0.1:{port}:22"] if host == "web-2" else []
            made.engine("run", "-d", "--name", made.container(host), "--hostname", host, *options, NODE_IMAGE)
        for host in HOSTS:
            made.engine("exec", made.container(host), "sh", "-c", BOOT, "sh", public)
        where = f"{{{{(index .NetworkSettings.Networks {cluster!r}).GlobalIPv6Address}}}}".replace("'", '"')
        addresses["web-1"] = SshAddress(made.engine("inspect", "--format", where, made.container("web-1")), 22)
        yield made
    finally:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ours.items():
                patch.setenv(name, value)
            bring_up.down(project, purge=False)
        made.engine("rm", "-f", "-v", "-i", "-t", "0", *(made.container(host) for host in HOSTS))
        made.engine("network", "rm", "-f", cluster)
        shutil.rmtree(project.state, ignore_errors=True)


@pytest.fixture(scope="module")
def pushing(machines: Machines) -> Machines:
    """The cluster began with no node at all, in any mode; now the first machine is one, and push mode is up."""
    for mode in ("reconcile", "push"):
        assert "add-node" in machines.inv("up", mode).stderr
        assert [json.loads(machines.inv(task, "--json").stdout) for task in ("nodes", "ps")] == [[], []]
    assert "no node yet" in machines.inv("provision", code=1).stderr
    machines.add_known("web-1")
    machines.inv("push-image", WEB_IMAGE)
    return replace(machines, written=machines.inventory.read_text())


@pytest.fixture(scope="module")
def with_agents(pushing: Machines) -> Machines:
    """The same cluster in agents mode, with the first machine as control plane."""
    with pushing.inventory.open("a") as file:
        file.write(CONTROL_PLANE)
    api = f"http://[{pushing.addresses['web-1'].host}]:{AGENTS_PORT}"
    made = replace(pushing, environ={**pushing.environ, "DUCKCONF_API": api})
    made.inv("up", "agents")
    return made


def test_the_first_node_joins_an_empty_group(pushing: Machines) -> None:
    before = INVENTORY.format(cluster=pushing.project.cluster, key=pushing.inventory.parent / "key")
    address = pushing.addresses["web-1"]
    added = f"      hosts:\n        web-1:\n          ansible_host: {address.host}\n          ansible_port: {address.port}\n"
    assert pushing.written == before + added


def test_a_forced_command_is_quoted_and_named(pushing: Machines) -> None:
    keys, forced = "/root/.ssh/authorized_keys", 'command="echo Please login as the user admin" '
    pushing.engine("exec", pushing.container("web-2"), "sed", "-i", f"s/^/{forced}/", keys)
    try:
        said = pushing.add("--accept-key", pushing.fingerprint("web-2"), code=4).stderr
    finally:
        pushing.engine("exec", pushing.container("web-2"), "sed", "-i", f"s/^{forced}//", keys)
    assert '"Please login as the user admin"' in said
    assert "forced command" in said
    assert "python3" not in said
    assert pushing.nothing_was_written()


def test_a_node_whose_daily_login_is_refused_is_not_called_one(pushing: Machines) -> None:
    rule = "echo AllowUsers root >/etc/ssh/sshd_config.d/who.conf; systemctl restart ssh"
    pushing.engine("exec", pushing.container("web-2"), "sh", "-c", rule)
    key = pushing.fingerprint("web-2")
    done = pushing.inv("add-node", "web-2", "--host", "second", "--become", "--accept-key", key, code=4)
    assert "is a node now" not in done.stdout
    assert "refuses the key of duckconf; AllowUsers root in its sshd_config leaves out duckconf" in done.stderr
    assert "provision" not in done.stderr.splitlines()[-1]
    assert "AllowUsers" in pushing.inv("nodes", "--limit", "web-2", code=4).stderr
    assert "AllowUsers root" in pushing.inv("doctor", "web-2", code=1).stdout
    mend = "rm /etc/ssh/sshd_config.d/who.conf; systemctl restart ssh"
    pushing.engine("exec", pushing.container("web-2"), "sh", "-c", mend)
    pushing.inv("nodes", "--limit", "web-2")
    pushing.inv("remove-node", "web-2")
    assert pushing.nothing_was_written()


def test_a_host_key_that_nobody_confirms_is_refused_and_nothing_is_written(pushing: Machines) -> None:
    key = pushing.fingerprint("web-2")
    assert f"--accept-key {key}" in pushing.add(code=4).stderr
    assert f"shows the host key {key}, not SHA256:other" in pushing.add("--accept-key", "SHA256:other", code=4).stderr
    assert pushing.nothing_was_written()


def test_a_login_that_is_refused_leaves_nothing_behind(pushing: Machines, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(new_key()[0])
    key = pushing.fingerprint("web-2")
    refused = pushing.add("--accept-key", key, "--key-file", str(tmp_path / "other"), code=4)
    assert "refuses the key of root" in refused.stderr
    assert pushing.nothing_was_written()


def test_a_machine_serves_an_app_within_two_commands(pushing: Machines) -> None:
    pushing.inv("cordon", "web-1")
    pushing.add_known("web-2")
    assert pushing.inventory.read_text().startswith(pushing.written)
    pushing.inv("start-app", WEB_IMAGE, "--push", "--wait")
    assert list(pushing.apps().values()) == ["web-2"]
    pushing.inv("uncordon", "all")


def test_a_host_that_is_well_is_ok_in_every_line(pushing: Machines) -> None:
    rows = json.loads(pushing.inv("doctor", "web-2", "--json").stdout)
    assert {row["check"]: row["result"] for row in rows if row["check"] != "disk"} == dict.fromkeys(
        ("name", "port", "host key", "login", "python", "engine", "containers", "wrapper", "node name", "clock"), "ok"
    )


def test_a_frozen_host_is_told_from_outside_in(pushing: Machines) -> None:
    pause(pushing.engine, pushing.container("web-2"))
    try:
        rows = json.loads(pushing.inv("doctor", "web-2", "--json", code=1).stdout)
    finally:
        pushing.engine("unpause", pushing.container("web-2"))
    results = {row["check"]: row["result"] for row in rows}
    assert (results["port"], results["host key"], results["login"], results["engine"]) == ("ok", "wrong", "unknown", "unknown")


def test_the_others_finish_when_hosts_fail_and_only_these_are_done_again(pushing: Machines) -> None:
    pins, other = pushing.project.pins.read_text(), new_key()[1]
    port = pushing.addresses["web-2"].port
    pin(pushing.project.pins, "127.0.0.1", port, other)
    failed = pushing.inv("provision", "--full", "--json", code=4)
    rows = {row["host"]: row for row in json.loads(failed.stdout)}
    assert (rows["web-1"]["result"], rows["web-2"]["result"]) == ("unchanged", "failed")
    assert "its host key has changed" in rows["web-2"]["reason"]
    pushing.project.pins.write_text("".join(line for line in pins.splitlines(True) if str(port) not in line))
    unknown = {row["host"]: row for row in json.loads(pushing.inv("provision", "--json", code=4).stdout)}
    assert (unknown["web-1"]["result"], unknown["web-2"]["result"]) == ("unchanged", "failed")
    assert "host key" in unknown["web-2"]["reason"]
    pushing.project.pins.write_text(pins)
    again = json.loads(pushing.inv("provision", "--limit", "@failed", "--json").stdout)
    assert [(row["host"], row["result"]) for row in again] == [("web-2", "unchanged")]
    assert "no host failed" in pushing.inv("provision", "--limit", "@failed", code=1).stderr


def test_a_second_checkout_that_takes_a_node_over_is_told_and_so_is_the_first(pushing: Machines, tmp_path: Path) -> None:
    inv = str(second_checkout(tmp_path))

    def there(*words: str) -> str:
        done = subprocess.run([inv, *words], env=pushing.environ, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    there("accept-key", "web-1", pushing.fingerprint("web-1"))
    assert f"take the node over from {ROOT} on " in there("provision", "--limit", "web-1")
    assert f"take the node over from {tmp_path} on " in pushing.inv("provision", "--limit", "web-1").stderr
    assert "take the node over" not in pushing.inv("provision", "--full", "--limit", "web-1").stderr


def test_push_mode_takes_no_node_from_under_its_apps(pushing: Machines) -> None:
    (app,) = pushing.apps()
    assert f"runs {app}" in pushing.inv("remove-node", "web-2", code=1).stderr
    pushing.inv("stop-app", app)
    pushing.inv("remove-node", "web-2")
    assert pushing.nothing_was_written()
    left = ("exec", pushing.container("web-2"), "ls", "/etc", "/usr/local/bin")
    assert not {"duckconf", "docker"} & set(pushing.engine(*left).split())


def test_the_loop_empties_a_node_and_gives_up_a_dead_one(pushing: Machines) -> None:
    pushing.inv("up", "reconcile")
    pushing.add_known("web-2")
    pushing.inv("push-image", WEB_IMAGE, "--to", "web-2")
    for _ in range(3):
        pushing.inv("start-app", WEB_IMAGE, *QUICK, "--wait")
    assert set(pushing.apps().values()) == set(HOSTS)
    pushing.inv("drain", "web-2")
    assert sorted(pushing.apps().items()) == [("app-1", "web-1"), ("app-2", "web-1"), ("app-3", "web-1")]
    pushing.inv("uncordon", "web-2")
    pushing.inv("start-app", WEB_IMAGE, *QUICK, "--wait")
    assert pushing.apps()["app-4"] == "web-2"
    pause(pushing.engine, pushing.container("web-2"))
    assert "--force" in pushing.inv("remove-node", "web-2", code=4).stderr
    pushing.inv("remove-node", "web-2", "--force")
    until("it runs on the other node", lambda: pushing.apps().get("app-4") == "web-1", 20)
    assert pushing.nothing_was_written()


def test_a_machine_serves_an_app_under_agents_within_two_commands(with_agents: Machines) -> None:
    with_agents.engine("unpause", with_agents.container("web-2"))
    with_agents.inv("cordon", "web-1")
    where, key = with_agents.addresses["web-2"], with_agents.fingerprint("web-2")
    renamed = ("add-node", "web-9", "--host", where.host, "--port", str(where.port), "--accept-key", key)
    refused = with_agents.inv(*renamed, code=4).stderr
    assert "web-9: has containers that it runs as web-2" in refused
    assert "podman rm -f duckconf-" in refused
    assert "web-9" not in with_agents.inventory.read_text()
    with_agents.add_known("web-2")
    with_agents.inv("start-app", WEB_IMAGE, "--name", "web", "--wait")
    apps = {"app-1": "web-1", "app-2": "web-1", "app-3": "web-1", "app-4": "web-1", "web": "web-2"}
    until("the copy that came back has gone", lambda: with_agents.apps() == apps, 20)
