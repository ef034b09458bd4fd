"""Makes, repairs and removes the demo hosts of an inventory. The one maker, for `up` and for the e2e tests.

A demo host is a container with systemd and sshd on the cluster's own network, its sshd published on the inventory's
loopback port. In topology shared a node borrows an engine of this machine through its socket, so that all apps are there
beside each other, told apart by labels; in topology own it has one of its own, nested in it, as real machines have. A
control-plane host has no engine; its API is published where the tasks look for it, and what the API keeps lies in the
cluster's state folder, so that a host made anew goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from duckconf.cli.cluster.services import Service
from duckconf.cli.demo import keys_given
from duckconf.cli.demo.demo_roles import SOCKET_NAME, Role, Roles, require_free
from duckconf.cli.demo.host_files import RESOLVER, new_key, tar
from duckconf.cli.demo.image_users import forget_user, note_user
from duckconf.cli.demo.images import ALL, ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_docker, require_engine
from duckconf.cli.roles.login_key import ensure_login_key
from duckconf.cli.terminal.say import say, step
from duckconf.counts import counted
from duckconf.engine import DOCKER
from duckconf.errors import LoginRefused, NodeFailure, SetupError
from duckconf.inventory import Host
from duckconf.naming import (
    LABEL_CLUSTER,
    LABEL_FOLDER,
    LABEL_HOST,
    LABEL_HOST_SPEC,
    host_container,
    network,
)
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts, pin
from duckconf.reach.state.files import write_durably

LONGEST_SOCKET_PATH = 107
READY_SECONDS = 60.0


class DemoHosts:
    """The demo hosts of one project and cluster."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.engine = LocalEngine(project.root)
        self._docker = LocalEngine(project.root, DOCKER)
        self.engine_service = Service("engine", project.state)
        self.roles = Roles(project)
        self._before_empty: Callable[[], object] = lambda: None

    def up(
        self, nodes: Sequence[Host], control_plane: Sequence[Host] = (), before_empty: Callable[[], object] = lambda: None
    ) -> None:
        """All these hosts run and answer over SSH, nodes have the engine, the control plane its API's port. `before_empty` is
        called before a node is made whose engine has no image yet.

        Does only what is missing; a node is the same host in every mode. Raises SetupError.
        """
        self._before_empty = before_empty
        require_engine()
        self.project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._refuse_a_foreign_folder()
        ensure_images(self.engine, self.project.root, {host.engine for host in nodes if not host.bare})
        note_user(self.project.state)
        if any(self._lender(host) is self._docker for host in nodes):
            require_docker(self._docker)
        self._serve_engine()
        if not self.engine.run("network", "exists", self._network).ok:
            self.engine.must("network", "create", f"--label={LABEL_CLUSTER}={self.project.cluster}", self._network)
        keys = ensure_login_key(self.project)
        present = {row["Labels"][LABEL_HOST]: row for row in self.containers()}
        wanted = {host.name: host for host in [*nodes, *control_plane]}
        roles = {name: self.roles.of(host, nodes, control_plane) for name, host in wanted.items()}
        images = self._image_ids({role.image for role in roles.values()})
        made = [host for name, host in wanted.items() if self._repair(host, roles[name], present.get(name), images, keys)]
        if made:
            with step(f"waiting for sshd on {', '.join(host.name for host in made)}"):
                self._await_ssh(made)

    def without_images(self, nodes: Sequence[Host]) -> list[Host]:
        """One node of each engine that is not the one that the images are built on."""
        own = [host for host in nodes if self.roles.has_own_engine(host) and not host.bare]
        borrows_docker = [host for host in nodes if self._lender(host) is self._docker]
        return [*own, *borrows_docker[:1]]

    def down(self, *, purge: bool = False) -> None:
        """Nothing of the cluster is left on the engine: apps, hosts, network, socket. With `purge` its images too."""
        if self.engine.run("--version").code != 0:
            return
        ours = self.engine.listing("ps", "-a", f"--filter=label={LABEL_CLUSTER}={self.project.cluster}")
        if ours:
            with step(f"removing {counted(len(ours), 'container')}"):
                self.engine.run("unpause", *(row["Id"] for row in ours if row["State"] == "paused"))
                self.engine.remove(*(row["Id"] for row in ours))
        self.engine_service.stop()
        of_stacks = self.engine.must(
            "network", "ls", f"--filter=label={LABEL_CLUSTER}={self.project.cluster}", "--format={{.Name}}"
        )
        for name in {*of_stacks.split(), self._network}:
            if self.engine.run("network", "exists", name).ok:
                self.engine.must("network", "rm", name)
        self._remove_apps_in_docker()
        if purge:
            self._remove_control_plane_state()
            self._remove_images()

    def stop_control_plane(self, names: Iterable[str]) -> list[str]:
        """Stop these hosts, as a mode without them needs their API's port; returns those that ran.

        They are kept: starting them again takes a second, making and provisioning them much longer.
        """
        wanted = set(names)
        running = [
            str(row["Names"][0])
            for row in self.containers()
            if row["Labels"][LABEL_HOST] in wanted and row["State"] in ("running", "paused")
        ]
        if running:
            with step(f"stopping {', '.join(running)}"):
                self.engine.run("unpause", *running)
                self.engine.must("stop", "-t", "10", *running)
        return running

    def containers(self) -> list[dict[str, Any]]:
        """Our host containers, as podman lists them."""
        return self.engine.listing(
            "ps", "-a", f"--filter=label={LABEL_CLUSTER}={self.project.cluster}", f"--filter=label={LABEL_HOST}"
        )

    def freeze(self, node: str) -> list[str]:
        """Pause the host and every app of ours on it; returns the names. Raises SetupError when it does not run."""
        return [*self._host_does(node, "pause", "running"), *self._apps_do(node, "pause", "running")]

    def thaw(self, node: str) -> list[str]:
        return [*self._apps_do(node, "unpause", "paused"), *self._host_does(node, "unpause", "paused")]

    def reboot(self, node: str) -> list[str]:
        """Restart the host, and with it what it ran: its apps are killed first, as the end of their machine would.

        Returns those that an engine of this machine ran for it.
        """
        names = self._apps_do(node, "kill", "running")
        self._host_does(node, "kill", "running")
        self.engine.must("start", host_container(self.project.cluster, node))
        return names

    def _host_does(self, node: str, verb: str, state: str) -> list[str]:
        name = host_container(self.project.cluster, node)
        if not any(row["State"] == state for row in self.containers() if row["Labels"][LABEL_HOST] == node):
            return []
        # On a busy machine the kernel does not freeze everything in the time that runc gives it. Asked again, it does.
        if not self.engine.run(verb, name).ok:
            self.engine.must(verb, name)
        return [name]

    def _apps_do(self, node: str, verb: str, state: str) -> list[str]:
        """What this machine's engine runs for the node; nothing where the node has an engine of its own."""
        lender = self._lender(self.project.inventory().hosts[node])
        return lender.each(verb, lambda: [app.name for app in lender.apps(self.project.cluster, node) if app.state == state])

    def _lender(self, host: Host) -> LocalEngine:
        """The engine of this machine that a node borrows, if it borrows one."""
        return self._docker if host.engine == DOCKER and not self.roles.has_own_engine(host) else self.engine

    def _remove_apps_in_docker(self) -> None:
        nodes = self.project.inventory().node_hosts()
        if not any(host.demo and self._lender(host) is self._docker for host in nodes) or not self._docker.run("version").ok:
            return
        if ours := self._docker.apps(self.project.cluster):
            self._docker.remove(*(app.id for app in ours))

    @property
    def _network(self) -> str:
        return network(self.project.cluster)

    def _refuse_a_foreign_folder(self) -> None:
        for row in self.containers():
            folder = row["Labels"].get(LABEL_FOLDER)
            if folder != str(self.project.root):
                raise SetupError(
                    f"cluster {self.project.cluster} is run from another folder: {folder}",
                    "set DUCKCONF_CLUSTER (and other ports in the inventory), or `./inv down` there",
                )

    def _serve_engine(self) -> None:
        """The engine's API on a socket in the state folder; the folder is what the hosts mount, so it may restart."""
        path = self.project.state / "engine" / SOCKET_NAME
        if len(str(path)) > LONGEST_SOCKET_PATH:
            raise SetupError(
                f"{path} is too long for a socket ({LONGEST_SOCKET_PATH} characters)", "use a shorter project folder"
            )
        if self.engine_service.process() is not None and _answers(path):
            return
        self.engine_service.stop()
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        argv = ("podman", "system", "service", "--time=0", f"unix://{path}")
        process = self.engine_service.start(argv, self.engine.environ(), self.project.root)
        self.engine_service.await_ready(process, lambda: _answers(path), 15)

    def _image_ids(self, images: Collection[str]) -> dict[str, str]:
        names = sorted(images)
        ids = self.engine.must("image", "inspect", "--format", "{{.Id}}", *names).split()
        return dict(zip(names, ids, strict=True))

    def _repair(self, host: Host, role: Role, row: dict[str, Any] | None, images: dict[str, str], authorized: str) -> bool:
        """Make or start the host when that is needed; says whether it was."""
        name = host_container(self.project.cluster, host.name)
        facts = [host.address, host.port, images[role.image], self._network, *role.spec]
        spec = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        if row is not None and row["Labels"][LABEL_HOST_SPEC] == spec:
            keys_given.give_anew(self.engine, self.project.state, host.name, name, authorized)
            if row["State"] in ("running", "paused"):
                return False
            with step(f"starting {name}"):
                role.require_free_port(self._holder)
                self.engine.must("start", name)
            return True
        with step(f"making {name}{'' if row is None else ' anew'} on {host.where}"):
            if row is not None:
                self.engine.remove(name)
            if role.nested:
                self._before_empty()
                self._remove_apps_beside(host)
            self._create(host, role, name, spec, authorized)
        return True

    def _remove_apps_beside(self, host: Host) -> None:
        """Apps of the time when the node borrowed this machine's engine: nobody would see them any more."""
        if names := [app.name for app in self.engine.apps(self.project.cluster, host.name)]:
            say(f"  now with its own engine: {', '.join(names)} on this machine's engine is removed")
            self.engine.remove(*names)

    def _create(self, host: Host, role: Role, name: str, spec: str, authorized: str) -> None:
        require_free(host, self._holder)
        role.require_free_port(self._holder)
        if self.engine.run("container", "exists", name).ok:
            raise SetupError(
                f"a container {name} that is not part of this cluster has this name", "remove it, or set DUCKCONF_CLUSTER"
            )
        labels = {
            LABEL_CLUSTER: self.project.cluster,
            LABEL_HOST: host.name,
            LABEL_HOST_SPEC: spec,
            LABEL_FOLDER: str(self.project.root),
        }
        self.engine.must(
            "create", "--name", name, "--hostname", host.name, "--systemd=always", "--network", self._network,
            "--network-alias", host.name, f"--publish={host.where}:22", *RESOLVER, *role.options,
            *(f"--label={key}={value}" for key, value in labels.items()), role.image,
        )  # fmt: skip
        private, public = self._host_key(host)
        files = [
            *role.files,
            ("etc/ssh/ssh_host_ed25519_key", 0o600, private),
            ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, public.encode() + b"\n"),
            (keys_given.AUTHORIZED, 0o600, authorized.encode()),
        ]
        try:
            self.engine.must("cp", "-", f"{name}:/", stdin=tar(files))
            keys_given.note(self.project.state, host.name, authorized)
            pin(self.project.pins, host.address, host.port, public)
            self.engine.must("start", name)
        except SetupError:
            self.engine.run("rm", "-f", "-v", name)
            raise

    def _holder(self, port: int) -> str:
        """The host of another cluster that has this port of the machine; "" when there is none."""
        for row in self.engine.listing("ps", "-a", f"--filter=label={LABEL_HOST}"):
            if any(port == published.get("host_port") for published in row.get("Ports") or ()):
                labels = row["Labels"]
                return f"{labels[LABEL_HOST]} of cluster {labels[LABEL_CLUSTER]} in {labels.get(LABEL_FOLDER, 'another folder')}"
        return ""

    def _host_key(self, host: Host) -> tuple[bytes, str]:
        """Kept in the state folder, so that a host made anew is still the one that is pinned."""
        path = self.project.state / "host-keys" / host.name
        if not path.exists():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            private, public = new_key()
            path.with_name(f"{host.name}.pub").write_text(public)
            write_durably(path, private)
        return path.read_bytes(), path.with_name(f"{host.name}.pub").read_text()

    def _await_ssh(self, hosts: Iterable[Host]) -> None:
        fleet = Fleet(hosts, KnownHosts(self.project.pins), self.project.login_key, self.project.settings.node_deadline)
        names = {host.name: host_container(self.project.cluster, host.name) for host in hosts}
        end = time.monotonic() + READY_SECONDS
        try:
            results = ask_all(names, lambda node: self._await_one(fleet, node, names[node], end))
        finally:
            fleet.close()
        for failure in results.values():
            if isinstance(failure, Exception):
                raise failure

    def _await_one(self, fleet: Fleet, node: str, container: str, end: float) -> None:
        while True:
            try:
                return fleet.runner(node).open()
            except LoginRefused:
                raise
            except NodeFailure as failure:
                state = self.engine.must("inspect", "--format", "{{.State.Status}}", container)
                if state != "running" or time.monotonic() > end:
                    words, remedy = self.engine.why_host_ended(container)
                    raise SetupError(f"{failure.message}; {words}", remedy) from failure

    def _remove_control_plane_state(self) -> None:
        """Its files belong to a user of the host; without root on this machine only the engine may remove them."""
        if os.geteuid() != 0:
            self.engine.run("unshare", "rm", "-rf", str(self.project.state / "control-plane"))

    def _remove_images(self) -> None:
        """All clusters on an engine share the images, so that the last one takes them away."""
        running = {row["Labels"][LABEL_CLUSTER] for row in self.engine.listing("ps", "-a", f"--filter=label={LABEL_HOST}")}
        others = sorted(running | {f"{state.name} in {state.parents[1]}" for state in forget_user(self.project.state)})
        if others:
            say(f"  kept the images, which other clusters use: {', '.join(others)}")
            return
        for name in ALL:
            if self.engine.has_image(name) and not self.engine.run("rmi", name).ok:
                say(f"  kept {name}: another container uses it")


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
            return True
    except OSError:
        return False
