"""Four bare machines become nodes. Two have Debian 12: one is logged in to with sudo and a password in a vault, one is to have
docker. Two have Debian 13: one is logged in to as root, one has sudo-rs in place of sudo and is to have docker.

To the tasks they are real machines: nothing in the inventory says that they are containers on this one. They are
prepared once, used, and given back at the end, so that the tests run in the order in which they stand.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import bcrypt
import pytest

from duckconf.actions import Remove, Start
from duckconf.cli.cluster import bring_up
from duckconf.cli.demo.images import NEXT_SUITE, ensure_bare_host
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.roles.login_key import ensure_login_key
from duckconf.cli.roles.playbook import Outcome, Playbook
from duckconf.command import Command
from duckconf.errors import NodeRefused
from duckconf.exports.kube import manifests
from duckconf.exports.quadlet import units
from duckconf.model import App
from duckconf.naming import BARE_IMAGE, WEB_IMAGE
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts, pin
from duckconf.reach.stacks.yaml_text import yaml_text
from tests.e2e import warm
from tests.e2e.conftest import ROOT, free_ports
from tests.e2e.paused import pause
from tests.e2e.registry import PRIVATE, registry_program
from tests.interpreters import VERSIONS, interpreter
from tests.waiting import until

pytestmark = pytest.mark.slow

HOSTS = ("web-1", "web-2", "web-3", "web-4")
NEXT_DEBIAN = {"web-1", "web-4"}
WITH_DOCKER = {"web-3", "web-4"}
BY_SUDO = ("web-2", "web-4")
PASSWORD = "correct horse"
INVENTORY = """[nodes]
web-1 ansible_port={} ansible_user=root {}
web-2 ansible_host=second ansible_ssh_common_args="-F {}"
web-3 ansible_port={} ansible_user=root duckconf_engine=docker
web-4 ansible_port={} ansible_user=admin duckconf_engine=docker
[all:vars]
duckconf_cluster={}
ansible_host=127.0.0.1
ansible_ssh_private_key_file={}
"""
# All that is said of where web-2 is and who logs in there.
SSH_CONFIG = "Host second\n  HostName 127.0.0.1\n  Port {}\n  User admin\n"
# What add-node can write into.
ONE_HOST = """\
all:
  vars:
    duckconf_cluster: {}
    ansible_ssh_private_key_file: {}
nodes:
  hosts:
    web-1:
      ansible_host: 127.0.0.1
      ansible_port: {}
      ansible_user: root
"""
# Where web-1 has the oldest Python that a host may have, beside its own.
OLD_PYTHON = "/opt/old-python"
# Programs keep caches, backups and marks there that mean nothing to the host.
PASSWORD_BACKUPS = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-")
MARKS = {"/etc/ld.so.cache", "/home/admin/.sudo_as_admin_successful", *(f"/etc/{name}" for name in PASSWORD_BACKUPS)}
# What the owners of those with docker have seen to: their cgroups are those of a container, in which runc starts nothing.
CRUN_FOR_DOCKER = """\
set -e
apt-get update -q
apt-get install -y -q --no-install-recommends crun
mkdir /etc/docker
echo '{"default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}' >/etc/docker/daemon.json
"""
# As a system does that has chosen sudo-rs.
SUDO_RS = """\
set -e
apt-get update -q
apt-get install -y -q --no-install-recommends sudo-rs
for program in /usr/bin/sudo /usr/sbin/visudo; do
  dpkg-divert --quiet --local --rename --add "$program"
done
ln -s sudo-rs /usr/bin/sudo
ln -s ../bin/visudo-rs /usr/sbin/visudo
"""
FIRST_PROCESS = 'cat "/proc/$(docker inspect --format={{.State.Pid}} init)/comm"'
LOOK = """\
dpkg-query -W -f '${Package}\\n'
cut -d: -f1,7 /etc/passwd
cut -d: -f1 /etc/group
find /etc /usr/local /home /root /var/lib/containers /var/lib/docker ! -type d
systemctl list-unit-files --state=enabled --no-legend
"""


@dataclass(frozen=True)
class Machines:
    """The machines, as their owner sees them, and a project that only knows how to log in."""

    project: Project
    environ: dict[str, str]
    podman: dict[str, str]

    def on(self, host: str, *argv: str) -> str:
        argv = ("podman", "exec", self.container(host), *argv)
        return subprocess.run(argv, env=self.podman, capture_output=True, check=True, text=True, timeout=120).stdout

    def engine(self, *argv: str) -> None:
        subprocess.run(["podman", *argv], env=self.podman, check=True, capture_output=True, timeout=60)

    def container(self, host: str) -> str:
        return f"{self.project.cluster}-{host}"

    def inv(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return warm.inv(words, {**self.environ, **environ}, timeout=280)

    def at_work(self, host: str) -> bool:
        """Whether a role runs there, seen by the Python in which Ansible's modules run."""
        return "mitogen:" in self.on(host, "ps", "-e", "-o", "args=")

    def look(self) -> dict[str, set[str]]:
        """Packages, users, files and enabled units."""
        return {host: set(self.on(host, "sh", "-c", LOOK).splitlines()) - MARKS for host in HOSTS}

    def vault(self, folder: Path, password: str) -> None:
        """The password for sudo, readable with a key that only the environment names."""
        (folder / "host_vars").mkdir(exist_ok=True)
        paths = [folder / "host_vars" / f"{host}.yml" for host in BY_SUDO]
        for path in paths:
            path.write_text(f"ansible_become_password: {password}\n")
        argv = ["ansible-vault", "encrypt", *map(str, paths)]
        subprocess.run(argv, env=self.environ, check=True, capture_output=True, timeout=60)

    def give_back(self, **variables: object) -> dict[str, Outcome]:
        shared = {"duckconf_cluster": self.project.cluster, **variables}
        hosts = self.project.inventory(secrets=True).node_hosts()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", self.environ["ANSIBLE_VAULT_PASSWORD_FILE"])
            return Playbook(self.project, hosts, shared, {}, ("remove",)).run()


def oldest_python() -> str:
    """The folder of an installation on this machine; "" when there is none."""
    try:
        return str(Path(interpreter(VERSIONS[0])).resolve().parents[1])
    except pytest.skip.Exception:
        return ""


def boot(machines: Machines, host: str, image: str, port: int, authorized: str) -> None:
    name = machines.container(host)
    network = f"--network={machines.project.cluster}"
    options = (
        "--privileged",
        "--systemd=always",
        "--volume=/var/lib/containers",
        "--volume=/var/lib/docker",
        f"--publish=127.0.0.1:{port}:22",
        network,
    )
    machines.engine("run", "-d", "--name", name, "--hostname", host, *options, image)
    script = """\
set -e
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
useradd -m -s /bin/bash -G sudo admin
echo "admin:$1" | chpasswd
for home in /root /home/admin; do
  mkdir -p -m 700 "$home/.ssh"
  echo "$2" >"$home/.ssh/authorized_keys"
done
chown -R admin:admin /home/admin/.ssh
until systemctl is-system-running --wait | grep -q 'running\\|degraded'; do :; done
systemctl reset-failed ssh
systemctl restart ssh
"""
    machines.on(host, "sh", "-c", script, "sh", PASSWORD, authorized)
    if host in WITH_DOCKER:
        machines.on(host, "sh", "-c", CRUN_FOR_DOCKER)
    if host == "web-4":
        machines.on(host, "sh", "-c", SUDO_RS)
    kind, key, *_ = machines.on(host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()
    pin(machines.project.pins, "127.0.0.1", port, f"{kind} {key}")


@pytest.fixture(scope="module")
def machines(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    cluster, folder = f"r{os.getpid()}", tmp_path_factory.mktemp("real") / "inventory"
    *ports, api_port = free_ports(5)
    folder.mkdir()
    (folder.parent / "vault-key").write_text("open sesame\n")
    key = ROOT / ".duckconf" / cluster / "id_ed25519"
    old = oldest_python()
    images = {True: ensure_bare_host(LocalEngine(ROOT), ROOT, NEXT_SUITE), False: BARE_IMAGE}
    first, second, *others = ports
    (folder.parent / "ssh_config").write_text(SSH_CONFIG.format(second))
    chosen = f"ansible_python_interpreter={OLD_PYTHON}/bin/python{VERSIONS[0]}" if old else ""
    facts = (first, chosen, folder.parent / "ssh_config", *others, cluster, key)
    (folder / "hosts.ini").write_text(INVENTORY.format(*facts))
    environ = {
        **os.environ,
        "DUCKCONF_INVENTORY": str(folder / "hosts.ini"),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://127.0.0.1:{api_port}",
        "ANSIBLE_VAULT_PASSWORD_FILE": str(folder.parent / "vault-key"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", environ["ANSIBLE_VAULT_PASSWORD_FILE"])
        made = Machines(load_project(ROOT, environ), environ, engine_env)
        made.vault(folder, PASSWORD)
        authorized = ensure_login_key(made.project).strip()
        try:
            # Not the engine's own network, whose addresses the engine in the machine takes for its own.
            made.engine("network", "create", cluster)
            with ThreadPoolExecutor(len(HOSTS)) as pool:
                chosen_image = [images[host in NEXT_DEBIAN] for host in HOSTS]
                list(pool.map(boot, repeat(made), HOSTS, chosen_image, ports, repeat(authorized)))
            if old:
                made.engine("cp", old, f"{made.container('web-1')}:{OLD_PYTHON}")
                # Its library lies elsewhere than it was built for.
                made.on("web-1", "sh", "-c", f"echo {OLD_PYTHON}/lib >/etc/ld.so.conf.d/old-python.conf && ldconfig")
            yield made
        finally:
            bring_up.down(made.project, purge=False)
            made.engine("rm", "-f", "-v", "-i", "-t", "0", *(made.container(host) for host in HOSTS))
            made.engine("network", "rm", "-f", cluster)
            shutil.rmtree(made.project.state)


@pytest.fixture(scope="module")
def before(machines: Machines) -> dict[str, set[str]]:
    return machines.look()


@pytest.fixture(scope="module")
def nodes(machines: Machines, before: dict[str, set[str]]) -> Machines:
    """The machines are nodes, made so by the task that starts the API."""
    done = machines.inv("up", "push")
    assert done.returncode == 0, done.stderr
    return machines


@pytest.fixture
def fleet(nodes: Machines) -> Iterator[Fleet]:
    project = nodes.project
    hosts = project.inventory(secrets=True).node_hosts()
    fleet = Fleet(hosts, KnownHosts(project.pins), project.login_key, project.settings.node_deadline)
    yield fleet
    fleet.close()


def test_a_host_that_the_role_does_not_fit_is_refused_before_anything_is_changed(
    machines: Machines, before: dict[str, set[str]]
) -> None:
    foreign = "echo '#!/bin/sh' >/usr/local/bin/docker"
    oddities = {
        "web-1": (foreign, "rm /usr/local/bin/docker", "/usr/local/bin/docker is not Duckconf's"),
        "web-2": ("mv /usr/bin/apt-get /", "mv /apt-get /usr/bin/", "podman is missing, and without apt"),
        "web-3": ("mkdir -p /snap/bin; >/snap/bin/docker", "rm -r /snap", "docker is installed as a snap"),
        "web-4": (foreign, "rm /usr/local/bin/docker", "/usr/local/bin/docker is not Duckconf's"),
    }
    for host, (make, _, _) in oddities.items():
        machines.on(host, "sh", "-c", make)
    done = machines.inv("provision", "--json")
    for host, (_, take_back, _) in oddities.items():
        machines.on(host, "sh", "-c", take_back)
    assert done.returncode == 4, done.stderr
    reasons = {row["host"]: row["reason"] for row in json.loads(done.stdout)}
    for host, (_, _, words) in oddities.items():
        assert words in reasons[host]
    assert machines.look() == before


def test_a_bare_machine_serves_an_app_within_two_commands(nodes: Machines) -> None:
    for _ in HOSTS:
        started = nodes.inv("start-app", WEB_IMAGE, "--push", "--port", "8081:80", "--wait")
        assert started.returncode == 0, started.stderr
    listed = nodes.inv("ps", "--json")
    assert {row["node"]: row["state"] for row in json.loads(listed.stdout)} == dict.fromkeys(HOSTS, "running")
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081', timeout=10).read().decode())"
    for host in HOSTS:
        assert host in nodes.on(host, "python3", "-c", script)


def test_the_role_has_run_on_the_oldest_python(nodes: Machines) -> None:
    python = f"{OLD_PYTHON}/bin/{Path(interpreter(VERSIONS[0])).name}"
    assert f"ansible_python_interpreter={python}" in nodes.project.inventory_path.read_text()
    assert nodes.on("web-1", python, "--version").startswith(f"Python {VERSIONS[0]}.")


@pytest.mark.parametrize("host", BY_SUDO)
def test_daily_work_is_done_by_a_login_that_may_use_the_engine_and_nothing_else(fleet: Fleet, host: str) -> None:
    login = fleet.runner(host)
    assert login.run(Command(("id", "-un"))).stdout.strip() == "duckconf"
    assert login.run(Command(("docker", "ps", "--format", "{{.Image}}"))).stdout.strip().removesuffix(":latest") == WEB_IMAGE
    for wish in (("cat", "/etc/shadow"), ("sh", "-c", "id"), ("/usr/bin/podman", "ps")):
        refused = login.run(Command(("sudo", "-n", *wish)))
        assert (refused.code, refused.stdout) == (1, "")
    assert not login.run(Command(("cat", "/etc/shadow"))).ok
    # What would have the wrapper call another program as root.
    tricked = login.run(Command(("env", "DUCKCONF_ENGINE=/usr/bin/id", "docker", "version")))
    assert "uid=" not in tricked.stdout
    refused = login.run(Command(("sudo", "-n", "DUCKCONF_ENGINE=/usr/bin/id", "/usr/local/bin/docker", "version")))
    assert (refused.code, refused.stdout) == (1, "")


def test_root_is_who_logs_in_where_the_inventory_says_so(fleet: Fleet, nodes: Machines) -> None:
    assert fleet.runner("web-1").run(Command(("id", "-un"))).stdout.strip() == "root"
    assert "duckconf:" not in nodes.on("web-1", "cat", "/etc/passwd")


@pytest.mark.parametrize("host", HOSTS)
def test_the_engine_is_asked_over_one_open_line_by_either_login(fleet: Fleet, host: str) -> None:
    line, path = fleet.runner(host).engine_line, "/_ping" if host in WITH_DOCKER else "/v4.0.0/libpod/_ping"
    answers = [line.ask(path, bytes.decode) for _ in range(2)]
    assert answers == [None, "OK"]


@pytest.mark.parametrize("host", HOSTS)
def test_administration_is_done_by_root(fleet: Fleet, host: str) -> None:
    assert fleet.admin(host).run(Command(("id", "-un"))).stdout.strip() == "root"


@pytest.mark.parametrize("host", ["web-1", "web-2"])
def test_the_logs_of_apps_are_limited(nodes: Machines, host: str) -> None:
    assert nodes.on(host, "sh", "-c", "docker inspect -f '{{.HostConfig.LogConfig.Type}}' $(docker ps -q)") == "k8s-file\n"
    assert "--log-size-max 10485760" in nodes.on(host, "ps", "-C", "conmon", "-o", "args=")


@pytest.mark.parametrize("host", sorted(WITH_DOCKER))
def test_docker_keeps_its_owners_settings_and_limits_the_logs_too(nodes: Machines, host: str) -> None:
    settings = json.loads(nodes.on(host, "cat", "/etc/docker/daemon.json"))
    assert (settings["default-runtime"], settings["log-driver"]) == ("crun", "json-file")
    limits = nodes.on(host, "sh", "-c", "docker inspect -f '{{json .HostConfig.LogConfig}}' $(docker ps -q)")
    assert json.loads(limits) == {"Type": "json-file", "Config": {"max-file": "2", "max-size": "10m"}}


@pytest.fixture
def private(nodes: Machines) -> Iterator[str]:
    """An image that docker of web-3 would put into a registry there, which asks for a login."""
    host, image = "web-3", "127.0.0.1:5000/private"
    users = f"puller:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}"
    nodes.on(host, "mkdir", "/srv/registry")
    nodes.engine("cp", registry_program(), f"{nodes.container(host)}:/srv/registry/program")
    for name, content in (("config.yml", PRIVATE), ("users", users)):
        nodes.on(host, "sh", "-c", f'echo "$1" >/srv/registry/{name}', "sh", content)
    nodes.on(host, "systemd-run", "--unit=registry", "--collect", "/srv/registry/program", "serve", "/srv/registry/config.yml")
    nodes.on(host, "sh", "-c", f"docker tag $(docker images -q | head -n 1) {image}")
    yield image
    nodes.on(host, "sh", "-c", f"docker rmi {image}; systemctl stop registry; rm -r /srv/registry")


def test_the_role_logs_docker_in_to_a_private_registry(nodes: Machines, private: str) -> None:
    """It stays so until the machine is given back, which is a test of its own."""

    def may_push() -> bool:
        return nodes.on("web-3", "sh", "-c", f"docker push -q {private} >/dev/null 2>&1 && echo yes || echo no") == "yes\n"

    registries = [{"host": "127.0.0.1:5000", "user": "puller", "password": PASSWORD}]
    variables = Path(nodes.environ["DUCKCONF_INVENTORY"]).parent / "host_vars" / "web-3.yml"
    assert not may_push()
    variables.write_text(json.dumps({"duckconf_registries": registries}))
    done = nodes.inv("provision", "--limit", "web-3")
    assert (done.returncode, PASSWORD in done.stdout + done.stderr) == (0, False), done.stderr
    assert may_push()
    nodes.on("web-3", "sh", "-c", f"docker rmi {private} && docker pull -q {private}")


def test_an_init_program_that_a_node_lost_is_told_and_the_role_brings_it_again(nodes: Machines, fleet: Fleet) -> None:
    cluster, app = nodes.project.cluster, App(WEB_IMAGE, "init", init=True)
    nodes.on("web-1", "apt-get", "purge", "-q", "-y", "catatonit")
    with pytest.raises(NodeRefused, match=r"\./inv provision installs catatonit"):
        execute(Start("web-1", "init", app), cluster, fleet.runner("web-1"))
    done = nodes.inv("provision", "--full", "--limit", "web-1", "--json")
    assert [row["result"] for row in json.loads(done.stdout)] == ["changed"], done.stderr
    for host in ("web-1", *WITH_DOCKER):
        execute(Start(host, "init", app), cluster, fleet.runner(host))
        assert "init" in nodes.on(host, "sh", "-c", FIRST_PROCESS)
        execute(Remove(host, "init"), cluster, fleet.runner(host))


ASK = "import sys, urllib.request; print(urllib.request.urlopen('http://127.0.0.1:' + sys.argv[1], timeout=5).status)"
PUT = 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"'


def test_an_exported_app_runs_as_a_unit_and_as_a_kube_file(nodes: Machines) -> None:
    """By systemd and podman 5 of the newer Debian, and by podman 4.3 of the older one."""
    app = App(WEB_IMAGE, "exported", ports=("8095:80",), volumes=("exported:/data",), env={"ODD": 'a "b" $c %d'})

    def answers(host: str) -> bool:
        return nodes.on(host, "sh", "-c", f'python3 -c "{ASK}" 8095 2>/dev/null || true') == "200\n"

    def put(host: str, path: str, text: str) -> None:
        nodes.on(host, "sh", "-c", PUT, "sh", path, text)

    def has_odd(host: str, container: str) -> bool:
        told = json.loads(nodes.on(host, "podman", "inspect", "--format", "{{json .Config.Env}}", container))
        return f"ODD={app.env['ODD']}" in told

    made, folder = units({app.name: app}), "/etc/containers/systemd"
    for name, text in made.files.items():
        put("web-1", f"{folder}/{name}", text)
    nodes.on("web-1", "sh", "-c", "systemctl daemon-reload && systemctl start exported")
    until("the unit answers", lambda: answers("web-1"), 20)
    assert has_odd("web-1", "exported")
    nodes.on("web-1", "sh", "-c", f"systemctl stop exported && rm -r {folder} && systemctl daemon-reload")

    put("web-2", "/root/kube.yaml", yaml_text(*manifests({app.name: app})[0]))
    nodes.on("web-2", "podman", "kube", "play", "/root/kube.yaml")
    until("the pod answers", lambda: answers("web-2"), 20)
    assert has_odd("web-2", "exported-pod-0-exported")
    nodes.on("web-2", "podman", "kube", "down", "/root/kube.yaml")
    nodes.on("web-2", "sh", "-c", "podman network rm podman-default-kube-network && rm /root/kube.yaml")
    for host in ("web-1", "web-2"):
        nodes.on(host, "podman", "volume", "rm", "exported")


def test_a_wrong_password_for_sudo_is_told_and_the_other_hosts_are_done_and_unchanged(nodes: Machines, tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    shutil.copytree(nodes.project.inventory_path.parent, folder)
    nodes.vault(folder, "battery staple")
    done = nodes.inv("provision", "--full", "--json", DUCKCONF_INVENTORY=str(folder / "hosts.ini"))
    assert done.returncode == 4, done.stderr
    rows = {row["host"]: row for row in json.loads(done.stdout)}
    results = {host: row["result"] for host, row in rows.items()}
    assert results == {host: "failed" if host in BY_SUDO else "unchanged" for host in HOSTS}, rows
    for host in BY_SUDO:
        assert "sudo refuses the password of admin" in rows[host]["reason"]
    assert "battery staple" not in done.stdout + done.stderr


def test_a_second_name_for_a_machine_is_refused_and_nothing_is_counted_twice(nodes: Machines, tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    shutil.copytree(nodes.project.inventory_path.parent, folder)
    hosts = (folder / "hosts.ini").read_text().splitlines()
    (line,) = (line for line in hosts if line.startswith("web-1 "))
    hosts.insert(hosts.index(line), line.replace("web-1", "twin ansible_host=localhost", 1))
    (folder / "hosts.ini").write_text("\n".join(hosts) + "\n")
    second = {"DUCKCONF_INVENTORY": str(folder / "hosts.ini")}
    pins = nodes.project.pins
    pinned = pins.read_text()
    pins.write_text(pinned + "".join(entry.replace("127.0.0.1", "localhost") for entry in pinned.splitlines(keepends=True)))
    port = line.partition("ansible_port=")[2].split()[0]
    (folder / "one.yml").write_text(ONE_HOST.format(nodes.project.cluster, nodes.project.login_key, port))
    try:
        refused = nodes.inv("provision", "--limit", "twin,web-1", "--json", **second)
        listed = nodes.inv("ps", "--json", **second)
        where = ("--host", f"root@localhost:{port}")
        added = nodes.inv("add-node", "third", *where, DUCKCONF_INVENTORY=str(folder / "one.yml"))
    finally:
        pins.write_text(pinned)
    assert refused.returncode == 4, refused.stderr
    reasons = {row["host"]: row["reason"] for row in json.loads(refused.stdout)}
    assert "is the same machine as web-1" in reasons["twin"]
    assert not reasons["web-1"]
    assert nodes.on("web-1", "cat", "/etc/duckconf/node").strip() == "web-1"
    assert listed.returncode == 4
    assert "twin: is the same machine as web-1" in listed.stderr
    apps = [row["app"] for row in json.loads(listed.stdout)]
    assert len(apps) == len(set(apps))
    assert (added.returncode, "is the machine of web-1" in added.stderr) == (1, True), added.stderr


def test_a_host_that_goes_down_or_freezes_in_the_middle_is_told_and_only_it_is_done_again(nodes: Machines) -> None:
    argv = [str(ROOT / "inv"), "provision", "--full", "--json"]
    with subprocess.Popen(argv, env=nodes.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            until("the role is at work on web-1", functools.partial(nodes.at_work, "web-1"), 60)
            nodes.engine("kill", nodes.container("web-1"))
            until("the role is at work on web-2", functools.partial(nodes.at_work, "web-2"), 60)
            pause(nodes.engine, nodes.container("web-2"))
            said, complaint = running.communicate(timeout=280)
        finally:
            # Others have need of the hosts, also where this did not come as far as the second.
            nodes.engine("start", nodes.container("web-1"))
            nodes.engine("unpause", nodes.container("web-2"))
    assert running.returncode == 4, complaint
    rows = {row["host"]: row for row in json.loads(said)}
    results = {host: row["result"] for host, row in rows.items()}
    assert results == {"web-1": "failed", "web-2": "failed", "web-3": "unchanged", "web-4": "unchanged"}
    assert "Traceback" not in complaint
    assert "Ansible" not in said
    until("they are up again", lambda: nodes.inv("nodes").returncode == 0, 60)
    again = nodes.inv("provision", "--full", "--limit", "@failed", "--json")
    done = [(row["host"], row["result"]) for row in json.loads(again.stdout)]
    assert done == [("web-1", "unchanged"), ("web-2", "unchanged")], again.stderr


def test_a_node_is_not_taken_from_under_its_apps(nodes: Machines) -> None:
    for outcome in nodes.give_back().values():
        assert "drain the node first, or set duckconf_remove_apps" in str(outcome.failure)
    assert all(nodes.on(host, "docker", "ps", "-aq").strip() for host in HOSTS)


def test_machines_are_given_back_as_they_were(nodes: Machines, before: dict[str, set[str]]) -> None:
    outcomes = nodes.give_back(duckconf_remove_apps=True)
    assert {name: outcome.failure for name, outcome in outcomes.items()} == dict.fromkeys(HOSTS)
    now = nodes.look()
    assert {host: now[host] ^ before[host] for host in HOSTS} == {host: set() for host in HOSTS}
    for host in WITH_DOCKER:
        assert json.loads(nodes.on(host, "cat", "/etc/docker/daemon.json")).keys() == {"default-runtime", "runtimes"}
