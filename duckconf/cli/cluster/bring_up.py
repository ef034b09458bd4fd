"""Brings a cluster up in a mode and takes it down: its hosts, then the mode's services as detached processes.

A running cluster changes its mode without restarting an app: who decides is changed, not what runs.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from duckconf.cli.cluster.adoption import adopt
from duckconf.cli.cluster.agents_up import enter_agents, leave_agents, require_control_plane, stop_agents
from duckconf.cli.cluster.api import whose
from duckconf.cli.cluster.modes import AGENTS, DOWN, PUSH, RECONCILE, mode_of
from duckconf.cli.cluster.restored import done, mode_restored
from duckconf.cli.cluster.services import Service, api_service, loop_service
from duckconf.cli.demo.control_planes import OPTION, choose_control_planes, forget_control_planes
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.fleet.push_image import failures, push_images
from duckconf.cli.roles.provision import BARE_NODE, EDGE_PART, ProvisionFailed, provision, tell
from duckconf.cli.terminal.say import say, step
from duckconf.counts import counted
from duckconf.errors import BadInput, DuckconfError, Fault, SetupError
from duckconf.inventory import Host, Inventory
from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import reports
from duckconf.reach.state.data import MOVES_NAME
from duckconf.reach.state.desired_file import FILE_NAME, stamp_of
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.revisions import FILE_NAME as HISTORY

READY_SECONDS = 30.0
# What only the loop remembers; in another mode it would grow stale.
LOOPS_MEMORY = ("placements.json", reports.FILE_NAME)


def up(project: Project, mode: str, topology: str = "", *, control_planes: int = 0, json_logs: bool = False) -> None:
    """Hosts and services run when this returns; raises DuckconfError that says what stands in the way.

    `topology` is for all demo nodes, and remembered; "" leaves it as it was, or to the inventory. So are `control_planes`, how
    many demo hosts the control plane has.
    """
    if control_planes and mode != AGENTS:
        raise BadInput(Fault(OPTION, f"is for mode {AGENTS}, got {mode}"))
    choose_control_planes(project, control_planes)
    if json_logs and mode == AGENTS:
        raise SetupError(
            "--json-logs is for services on this machine; in agents mode they run on the hosts",
            "set duckconf_json_logs: true for all hosts in the inventory",
        )
    inventory = project.inventory(secrets=True)
    if mode == AGENTS:
        require_control_plane(project, inventory)
    say(f"cluster {project.cluster}: {counted(len(inventory.nodes), 'node')} from {inventory.source}")
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (project.state / DOWN).unlink(missing_ok=True)
    demo = [host for host in inventory.node_hosts() if host.demo]
    if demo:
        hosts = DemoHosts(project)
        hosts.roles.choose_topology(topology)
        # A loop that runs would start apps there before the images are copied.
        hosts.up(demo, before_empty=loop_service(project).stop)
        _bring_images(project, hosts.without_images(demo))
    before = mode_of(project)
    unready = _make_ready(project, inventory)
    was = mode_restored(project)
    if was == AGENTS:
        stop_agents(project)
    if before == AGENTS and mode != AGENTS:
        leave_agents(project)
    if before != mode:
        _stop_services(project)
        if {before, mode} != {RECONCILE, AGENTS}:
            # What was tried here says nothing about what push mode runs meanwhile.
            (project.state / HISTORY).unlink(missing_ok=True)
        (project.state / MOVES_NAME).unlink(missing_ok=True)
    if mode == AGENTS:
        enter_agents(project, handing_over=before != AGENTS)
        write_durably(project.state / "mode", f"{mode}\n".encode())
        done(project)
        _say_ready(project, inventory, unready)
        return
    if mode == RECONCILE and (before != mode or was or not (project.state / FILE_NAME).exists()):
        adopt(project)
    if mode == PUSH and before != PUSH:
        _forget_desired_state(project)
    write_durably(project.state / "mode", f"{mode}\n".encode())
    done(project)
    logs = ("--json-logs",) if json_logs else ()
    _serve_api(project, mode, logs)
    if mode == RECONCILE:
        _serve_loop(project, logs)
    _say_ready(project, inventory, unready)


def _say_ready(project: Project, inventory: Inventory, unready: ProvisionFailed | None) -> None:
    """Raises what kept some hosts from becoming nodes: all others are served."""
    task = f"./inv start-app {WEB_IMAGE}" if inventory.nodes else "./inv add-node NAME --host ADDRESS"
    urls = project.api_urls() if mode_of(project) == AGENTS else project.settings.api_urls
    say(f"the API answers at {', '.join(urls)}; try: {task}")
    if unready is not None:
        raise unready


def _make_ready(project: Project, inventory: Inventory) -> ProvisionFailed | None:
    """Real machines become nodes, by the role `node` where it has anything to do; the failure when some cannot.

    Whether that stands in the way is for who needs them: taking over what runs needs every node, serving needs none.
    """
    real = [host.name for host in inventory.node_hosts() if not host.demo or host.bare]
    fronts = [name for name in inventory.edges if name not in real]
    try:
        for names, roles in ((real, BARE_NODE), (fronts, EDGE_PART)):
            if names:
                tell(provision(project, ",".join(names), roles))
    except ProvisionFailed as failure:
        tell(failure.outcomes)
        say(f"  not ready: {failure.message}")
        return failure
    return None


def down(project: Project, *, purge: bool) -> None:
    """Nothing of the cluster runs any more; with `purge` its state is gone too, and the images that no other uses."""
    _stop_services(project)
    if shutil.which("podman") is not None:
        DemoHosts(project).down(purge=purge)
    forget_control_planes(project)
    if mode_of(project) == AGENTS and all(host.demo for host in project.inventory().hosts.values()):
        # Their agents went with their hosts: the next mode has nobody to stop.
        (project.state / "mode").unlink(missing_ok=True)
    if purge:
        shutil.rmtree(project.state, ignore_errors=True)
    elif project.state.exists():
        (project.state / DOWN).touch()
    say(f"cluster {project.cluster} is down" + (", and its state is removed" if purge else ""))


def _bring_images(project: Project, nodes: list[Host]) -> None:
    """The sample apps' images, to nodes that cannot take them from this machine's engine."""
    if not nodes:
        return
    for outcomes in push_images(project, (WEB_IMAGE, NGINX_IMAGE), nodes).values():
        for failure in failures(outcomes).values():
            raise failure


def _stop_services(project: Project) -> None:
    """The loop first: nothing may act on a state that nobody serves."""
    loop_service(project).stop()
    api_service(project).stop()


def _forget_desired_state(project: Project) -> None:
    """Push has no desired state; the old one is kept under another name, for a person."""
    path = project.state / FILE_NAME
    if path.exists():
        kept = path.with_name(f"{FILE_NAME}.kept")
        os.replace(path, kept)
        say(f"  push mode has no desired state: the last one is kept as {kept.name}")
    for name in LOOPS_MEMORY:
        (project.state / name).unlink(missing_ok=True)


def _serve_api(project: Project, mode: str, logs: tuple[str, ...]) -> None:
    client = ApiClient(project.settings.api_url)
    service = api_service(project)
    if service.process() is not None and _is_ours(client, project, mode):
        return
    service.stop()
    if other := _other(client):
        raise SetupError(
            f"{other} answers at {project.settings.api_url}",
            "end it, or choose another address: api_url in invoke.yml, or DUCKCONF_API",
        )
    argv = ("-m", "api.serve", "--project", str(project.root), "--mode", mode, *logs)
    _start(project, service, argv, "starting the API server", lambda: _is_ours(client, project, mode))


def _serve_loop(project: Project, logs: tuple[str, ...]) -> None:
    service = loop_service(project)
    if service.process() is not None:
        return
    report = project.state / reports.FILE_NAME
    before = stamp_of(report)
    argv = ("-m", "controllers.loop", "--project", str(project.root), *logs)
    _start(project, service, argv, "starting the control loop", lambda: stamp_of(report) not in (None, before))


def _start(project: Project, service: Service, argv: tuple[str, ...], what: str, ready: Callable[[], bool]) -> None:
    with step(what):
        source = str(Path(__file__).resolve().parents[3])
        environ = {**os.environ, **project.settings.environ(), "DUCKCONF_CLUSTER": project.cluster, "PYTHONPATH": source}
        process = service.start((sys.executable, *argv), environ, project.root)
        service.await_ready(process, ready, READY_SECONDS)


def _is_ours(client: ApiClient, project: Project, mode: str) -> bool:
    try:
        answer = client.call("GET", "/healthz", deadline=2.0)
    except DuckconfError:
        return False
    return {key: answer.get(key) for key in ("cluster", "mode", "folder")} == whose(project, mode)


def _other(client: ApiClient) -> str:
    """Who has our address; "" when nobody answers there."""
    try:
        health = client.call("GET", "/healthz", deadline=2.0)
    except DuckconfError as error:
        return "" if str(error).startswith("no API answers") else "another server"
    return f"the API of cluster {health.get('cluster')} in {health.get('folder') or 'another place'}"
