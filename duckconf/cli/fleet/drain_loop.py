"""Empties a node in reconcile mode: marks it, and follows the loop until nothing of ours is left there."""

from __future__ import annotations

import time
from collections.abc import Mapping

from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.cluster.services import loop_service
from duckconf.cli.fleet.drained import Drained, say_what_stays
from duckconf.cli.fleet.trying import Trying
from duckconf.cli.look.picture import take_picture
from duckconf.cli.terminal.say import step
from duckconf.counts import counted
from duckconf.decision import HELD_BACK
from duckconf.errors import DuckconfError, SetupError
from duckconf.local_data import is_moving, shown
from duckconf.naming import app_of
from duckconf.plan import TAKES_OVER
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import cordons, journal
from duckconf.reach.state.journal import Journal

# For the next app to leave: the start on its new node may pull the image.
PATIENCE = 300.0
HELD = 0.5


def drain(project: Project, node: str) -> Drained:
    """What has data there goes on there, and so does what no other node takes; the node stays cordoned."""
    if loop_service(project).process() is None:
        raise SetupError("the control loop does not run, so no app can be moved", "start it: ./inv up reconcile")
    book = Journal(project.state / journal.FILE_NAME)
    cursor = book.tail(0).cursor
    with open_cluster(project) as cluster:
        try:
            # Before the mark, after which the loop begins at once.
            there = _apps(cluster, node)
        finally:
            cordons.drain(project.state, node)
        stays = _bound(cluster, node)
        say_what_stays(node, stays)
        left = first = there - stays.keys()
        end, trying = time.monotonic() + PATIENCE, Trying(node)
        with step(f"moving {counted(len(first), 'app')} from {node}"):
            while left - trying.stays.keys():
                page = book.wait(cursor, HELD)
                cursor = page.cursor
                before, left = left, _apps(cluster, node) - stays.keys()
                for event in page.events:
                    for name in sorted(left) if event.kind == "failed" else ():
                        if app_of(name) == event.app:
                            trying.failed(name, event.message, event.message)
                if left != before:
                    end = time.monotonic() + PATIENCE
                    trying.moved()
                elif why := _why_they_stay(cluster, left - trying.stays.keys()):
                    _judge(why, trying)
                elif time.monotonic() > end:
                    for name in sorted(left):
                        trying.cannot(name, f"no app was moved for {PATIENCE:g} s")
    return Drained(len(first - left), tuple(sorted(stays)), {name: trying.stays[name] for name in left})


def _judge(why: Mapping[str, str], trying: Trying) -> None:
    """The loop has nothing to do for these. What is held back is tried again; until then the others are not given up either."""
    later = {name: note for name, note in why.items() if note.startswith(HELD_BACK)}
    for name, note in sorted(later.items()):
        trying.failed(name, note, HELD_BACK)
    for name, note in sorted(why.items()) if not later else ():
        trying.cannot(name, note)


def _bound(cluster: Cluster, node: str) -> dict[str, str]:
    """The instances whose data is there, with it in words. One that a person moved without its data is none."""
    picture = take_picture(cluster)
    stays = {view.instance for view in picture.apps if view.desired == "yes"}
    data = {name: held for name, held in picture.decision.data.items() if held.node == node and name in stays}
    moving = {name for name, held in data.items() if is_moving(held, picture.moves.get(name))}
    return {name: shown(held.sources) for name, held in data.items() if name not in moving}


def _apps(cluster: Cluster, node: str) -> frozenset[str]:
    """The instances that are still there, but for jobs that are over; raises NodeFailure when the node does not answer."""
    picture = take_picture(cluster)
    found = picture.seen[node]
    if isinstance(found, DuckconfError):
        raise found
    return frozenset(container.instance for container in found if container.app) - picture.decision.over.keys()


def _why_they_stay(cluster: Cluster, instances: frozenset[str]) -> dict[str, str]:
    """By instance, when the loop has nothing to do for any of them, and none waits for its new container to be ready."""
    plan = take_picture(cluster).decision.plan
    if plan.steps or any(note.endswith(TAKES_OVER) for note in plan.notes.values()):
        return {}
    return {name: note for name, note in plan.notes.items() if name in instances}
