"""Takes a cluster into agents mode and out of it, by roles. What runs is handed over by its labels and never restarted.

Into it: the control plane first, then what should run and where, then the agents, so that no agent ever sees an empty
state. Out of it: the agents first, so that nobody acts while the state changes hands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from duckconf.cli.apps.secrets import upload
from duckconf.cli.cluster import past, restored
from duckconf.cli.cluster.adoption import adopted
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.cluster.store import move_from, note_store, store_move
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.look.control import AGENT_UNIT, CONTROL_UNITS
from duckconf.cli.roles.provision import AGENT_PART, CONTROL_PART, provision, require_fitting, tell
from duckconf.cli.terminal.say import say, step
from duckconf.command import Command
from duckconf.desired import Document, changed, empty_document, marked, read_document
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, SetupError
from duckconf.instance import slots_of
from duckconf.inventory import Inventory
from duckconf.local_data import Held, held_from_json, held_to_json
from duckconf.model import FIELDS, App, parse_app
from duckconf.naming import app_of, instance_name, slot_of
from duckconf.place_kinds import GLOBAL
from duckconf.placement import Placement, Views
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.state.data import FILE_NAME as DATA
from duckconf.reach.state.data import DataBook, read_held
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.files import write_durably


def require_control_plane(project: Project, inventory: Inventory) -> None:
    """A control plane can begin: known before minutes go into its nodes. Raises SetupError with what is wrong of each host.

    One that has begun may have lost a host."""
    require_fitting(project, inventory)
    if AGENTS in (mode_of(project), restored.mode_restored(project)):
        return
    real = [name for name in inventory.control_plane if not inventory.hosts[name].demo]
    if not real or any(host.demo for host in inventory.node_hosts()):
        # Demo hosts are made first, in seconds, and nothing of a cluster can be asked before.
        return
    with open_cluster(project) as cluster:
        found = ask_all(real, lambda name: cluster.fleet.admin(name).run(Command(("true",))))
    if failures := [str(failure) for failure in found.values() if isinstance(failure, DuckconfError)]:
        remedy = "the control plane begins on all hosts of the group control_plane; nothing was changed"
        raise SetupError("; ".join(failures), remedy)


def enter_agents(project: Project, *, handing_over: bool) -> None:
    """Services and agents run when this returns, on hosts that are nodes already. With `handing_over`, what another mode
    ran is declared first."""
    inventory = project.inventory(secrets=True)
    if demo := [host for host in inventory.control_hosts() if host.demo]:
        DemoHosts(project).up([host for host in inventory.node_hosts() if host.demo], demo)
    is_restored, move = bool(restored.mode_restored(project)), store_move(project, inventory)
    if is_restored and (store := restored.survives_in(project)):
        restored.leave_to_it(project)
        handing_over, move = False, move_from(store, inventory)
    elif is_restored and inventory.etcd:
        restored.forget_lost_state(project)
    tell(provision(project, only=CONTROL_PART, move=move))
    if is_restored and handing_over:
        restored.count_on(project)
    if handing_over:
        _hand_over(project, inventory.store)
    note_store(project, inventory.store)
    tell(provision(project, only=AGENT_PART))


def leave_agents(project: Project) -> None:
    """Stop agents and control plane, and keep what should run as `desired_state.csv`.

    Raises NodeFailure when a node does not answer: its agent would go on against whoever comes next.
    """
    apps, held = _declared(project), _data(project)
    revisions, places = past.told_by(project, apps or ()), past.places_told_by(project)
    inventory = project.inventory(secrets=True)
    with step("stopping agents and control plane"), open_cluster(project) as cluster:
        _stop_units(cluster, inventory.nodes, (AGENT_UNIT,))
        _stop_units(cluster, inventory.control_plane, tuple(CONTROL_UNITS.values()))
    DemoHosts(project).stop_control_plane(host.name for host in inventory.control_hosts() if host.demo)
    keep_as_other_modes(project.state, apps, held, revisions, places)


def stop_agents(project: Project) -> None:
    """None of them acts while another control plane begins. Raises NodeFailure for a node that does not answer."""
    with step("stopping the agents that run"), open_cluster(project) as cluster:
        _stop_units(cluster, cluster.inventory.nodes, (AGENT_UNIT,))


def keep_as_other_modes(
    state: Path,
    apps: Mapping[str, App | None] | None,
    held: Mapping[str, Held] | None,
    revisions: past.Told,
    places: Mapping[str, Placement] | None,
) -> None:
    """What the api-server told, in the files of the loop; of what is None it told nothing. Raises OSError."""
    if held is not None:
        DataBook.at(state / DATA, dict).keep(held)
    past.keep(state, revisions)
    past.keep_places(state, places)
    if apps is not None:
        document = changed(empty_document(), apps)
        write_durably(state / FILE_NAME, marked(document, 1, document.next_number).text().encode())


def declared(api: ApiClient) -> dict[str, App | None]:
    """What should run, without placements. Raises DuckconfError when the API does not answer."""
    return {app["name"]: _spec(app) for app in api.call("GET", "/apps", deadline=10.0)["apps"]}


def _declared(project: Project) -> dict[str, App | None] | None:
    """None when the API does not answer: what runs is then taken over alone."""
    try:
        return declared(api_client(project))
    except DuckconfError as error:
        say(f"  the desired state cannot be read from the api-server: {error}")
        return None


def _data(project: Project) -> dict[str, Held] | None:
    """Which node has whose data; None when the API does not answer: the containers that there are tell it then."""
    try:
        return held_from_json(api_client(project).call("GET", "/data", deadline=10.0)["data"])
    except DuckconfError:
        return None


def _spec(entry: dict[str, Any]) -> App:
    return parse_app({field: entry[field] for field in FIELDS if field in entry})


def _stop_units(cluster: Cluster, hosts: Any, units: tuple[str, ...]) -> None:
    def stop(host: str) -> None:
        runner = cluster.fleet.admin(host)
        done = runner.run(Command(("systemctl", "disable", "--now", *units), deadline=60.0))
        if not done.ok and "does not exist" not in done.stderr:
            raise DuckconfError(f"{host}: systemctl disable failed: {' '.join(done.stderr.split())}")

    for found in ask_all(hosts, stop).values():
        if isinstance(found, NodeFailure):
            reason = f"{found.reason}, and its agent must stop before another mode starts"
            raise type(found)(found.node, reason, "make it reachable, or remove it from the inventory")
        if isinstance(found, DuckconfError):
            raise found


def _hand_over(project: Project, store: str) -> None:
    """Declare what the desired file says and what runs, each app on the node where it runs."""
    with step("handing over the running containers"), open_cluster(project) as cluster:
        seen = cluster.observe()
    views: dict[str, tuple[Container, ...]] = {}
    for node, found in seen.items():
        if isinstance(found, NodeFailure):
            reason = f"{found.reason}, so its apps cannot be handed over"
            raise type(found)(found.node, reason, "make it reachable, or remove it from the inventory")
        if isinstance(found, tuple):
            views[node] = found
    path = project.state / FILE_NAME
    before = read_document(path.read_text("utf-8")) if path.exists() else empty_document()
    document = adopted(before, [container for view in views.values() for container in view])
    if document.faults:
        faults = "; ".join(str(fault) for fault in document.faults)
        raise SetupError(f"{FILE_NAME}: {faults}", "correct or remove these rows first; stop apps without a spec")
    upload(project)
    api = api_client(project, AGENTS)
    newest_of, over = newest(views), past.ended_in(project.state)
    places = homes(document, newest_of, over)
    held = {name: data for name, data in read_held(project.state / DATA).items() if _may_be(data, name, places)}
    apps = past.of_all(project.state, document, newest_of, over, places)
    # One call: whoever decides on the state sees all of it, or what was there before.
    api.call("PUT", "/takeover", {"apps": apps, "data": held_to_json(held)}, deadline=60.0)
    # From now on the control plane decides: an interrupted run goes on from here, and hands over nothing a second time.
    note_store(project, store)
    write_durably(project.state / "mode", f"{AGENTS}\n".encode())
    past.forget(project.state)
    if path.exists():
        path.replace(path.with_name(f"{FILE_NAME}.kept"))


def _may_be(data: Held, instance: str, places: Mapping[str, Sequence[str]]) -> bool:
    """Whether the instance does not run anywhere else than where its data is remembered to be."""
    nodes = ("", *places.get(app_of(instance), ()))
    return nodes[slot_of(instance) if slot_of(instance) < len(nodes) else 0] in ("", data.node)


def newest(views: Views) -> dict[str, Container]:
    """Of each instance the container that runs, and of several the newest."""
    best: dict[str, Container] = {}
    for view in views.values():
        for container in view or ():
            rival = best.get(container.instance)
            if rival is None or (container.running, container.generation) > (rival.running, rival.generation):
                best[container.instance] = container
    return best


def homes(
    document: Document, found: Mapping[str, Container], over: Mapping[str, Placement] = MappingProxyType({})
) -> dict[str, list[str]]:
    """The node of each instance of each app, by slot: where its container is, or where it ended; "" for the scheduler to
    choose."""
    known = {name: place.node for name, place in over.items()} | {name: copy.node for name, copy in found.items()}
    return {name: [known.get(one, "") for one in _names(app, found)] for name, app in document.apps().items()}


def _names(app: App, found: Collection[str]) -> list[str]:
    """The instances of an app by slot. One of mode global has as many as are found."""
    if app.mode != GLOBAL:
        return [instance.name for instance in slots_of(app)]
    last = max((slot_of(name) for name in found if app_of(name) == app.name), default=0)
    return [instance_name(app.name, slot) for slot in range(1, last + 1)]
