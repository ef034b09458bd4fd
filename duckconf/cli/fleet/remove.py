"""`./inv remove-node`: a node is emptied, gets back what the role put there, and leaves the inventory and our memory.

With `force` the host counts as dead: no command runs on it, and its apps are rescheduled at once.
"""

from __future__ import annotations

from duckconf.actions import Remove
from duckconf.cli.apps.change import set_cordon
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.fleet.drain import drain_node
from duckconf.cli.fleet.drained import not_empty
from duckconf.cli.fleet.inventory_edit import removing
from duckconf.cli.fleet.limits import remember_failed
from duckconf.cli.roles.left import Record
from duckconf.cli.roles.playbook import Playbook
from duckconf.cli.roles.provision import provision
from duckconf.cli.terminal.say import say
from duckconf.counts import counted
from duckconf.engine_output import Container
from duckconf.errors import Conflict, DuckconfError, NodeFailure
from duckconf.inventory import Host
from duckconf.inventory_variables import CONTROL_PLANE
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.host_keys import forget

REMOVE = ("remove",)
IF_DEAD = "to remove a dead host: ./inv remove-node {} --force"


def remove_node(project: Project, name: str, *, force: bool) -> None:
    """Raises before anything is done when the inventory has to be edited by hand."""
    inventory = project.inventory(secrets=True)
    host = inventory.node(name)
    edits = removing(project.inventory_path, name)
    mode = mode_of(project)
    if force:
        _give_up(project, mode, host)
        if not host.demo:
            say(f"  {name} is not contacted: the files of the role stay there, and so do running apps")
    else:
        _empty(project, mode, host)
        if not host.demo:
            _take_back(project, host)
    for edit in edits:
        edit.write()
        say(f"  {name} is removed from {edit.path.name}")
    _forget(project, host)
    if mode == AGENTS:
        provision(project, CONTROL_PLANE, (CONTROL_PLANE,))
    print(f"{name} is no longer a node")


def _empty(project: Project, mode: str, host: Host) -> None:
    if mode != PUSH:
        try:
            done = drain_node(project, host.name)
        except NodeFailure as failure:
            raise NodeFailure(host.name, failure.reason, IF_DEAD.format(host.name)) from failure
        if done.stuck:
            raise not_empty([host.name], done.stuck, done.moved)
        say(f"  {host.name}: {counted(done.moved, 'app')} moved")
        if done.stays:
            remedy = f"to start it elsewhere without the data: ./inv move {done.stays[0]} --accept-data-loss"
            raise Conflict(f"{host.name} has the data of {', '.join(done.stays)}, which runs there and nowhere else", remedy)
        return
    set_cordon(project, host.name, cordoned=True)
    say(f"  {host.name} is cordoned: it gets no new app (undone by ./inv uncordon {host.name})")
    if apps := _apps(project, host.name):
        names = ", ".join(app.app or app.name for app in apps)
        raise Conflict(f"{host.name} still runs {names}; push mode moves no app", "stop them first, or stop them with --force")


def _give_up(project: Project, mode: str, host: Host) -> None:
    """In reconcile mode the loop reschedules its apps as soon as the node has left the inventory."""
    if mode == AGENTS:
        api = api_client(project)
        api.call("PUT", path_of("node", host.name), {"cordoned": True})
        apps = api.call("GET", f"/apps?nodeName={host.name}")["apps"]
        if apps:
            told = ("name", "slot", "revision")
            moves = [{**{key: app[key] for key in told if key in app}, "node": ""} for app in apps]
            api.call("PUT", "/apps", {"apps": moves})
        say(f"  {host.name}: rescheduling {counted(len(apps), 'app')}")
    elif mode == PUSH:
        _end_apps(project, host)


def _end_apps(project: Project, host: Host) -> None:
    """Those of push mode belong to nobody once their node has left; on a dead host they have ended."""
    try:
        with open_cluster(project) as cluster:
            (found,) = cluster.observe(host.name).values()
            for container in found if isinstance(found, tuple) else ():
                cluster.act(Remove(host.name, container.name))
                say(f"  {container.name} is stopped and removed")
    except NodeFailure as failure:
        say(f"  {failure}")


def _apps(project: Project, name: str) -> tuple[Container, ...]:
    with open_cluster(project) as cluster:
        (found,) = cluster.observe(name).values()
    if isinstance(found, DuckconfError):
        reason = getattr(found, "reason", found.message)
        raise NodeFailure(name, reason, IF_DEAD.format(name))
    return found


def _take_back(project: Project, host: Host) -> None:
    """What the role has put there."""
    say(f"  undoing the role on {host.name} …")
    done = Playbook(project, [host], {"duckconf_cluster": project.cluster}, {}, REMOVE).run()[host.name]
    if done.failure is not None:
        remedy = f"fix it and try again, or ./inv remove-node {host.name} --force, which changes nothing there"
        raise NodeFailure(host.name, getattr(done.failure, "reason", done.failure.message), remedy)


def _forget(project: Project, host: Host) -> None:
    """All but the cordon: a loop that has not read the inventory yet would put something there."""
    forget(project.pins, host)
    (project.state / "tokens" / host.name).unlink(missing_ok=True)
    record = Record(project.state)
    record.forget(host.name)
    record.write()
    remember_failed(project, [host.name], [])
