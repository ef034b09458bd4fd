"""Brings images from this machine's engine to nodes that have no registry to pull from.

A node that has the image, by its id, is left alone; the others get it at the same time, each at its own pace. What one
node does not take holds up no other, and running it again goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from duckconf.architecture import runs
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.fleet.again import try_again
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.terminal.edge import SOME_UNREACHABLE
from duckconf.cli.terminal.say import say, step
from duckconf.cli.terminal.tables import print_json
from duckconf.cli.terminal.upload_progress import Progress, progress
from duckconf.counts import counted
from duckconf.errors import DuckconfError, NodeFailure
from duckconf.image import check_name, megabytes
from duckconf.inventory import Host
from duckconf.patterns import some_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.image_source import Archive, ImageSource, SourceImage, best_packing
from duckconf.reach.nodes.image_target import Held, ImageTarget
from duckconf.reach.nodes.parallel import Result, ask_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.state import cordons
from duckconf.reach.state.cordons import Cordons
from duckconf.rebuilt import apps_on_old, ask_for_old

# Seconds for a node to answer: one that was passed over must be pushed to again.
PATIENCE = 10.0
PUSHED = "pushed"
PRESENT = "already there"


@dataclass(frozen=True)
class Pushed:
    """How a node came to have the image: `sent` is in bytes, `seconds` from the beginning of its upload."""

    status: str
    sent: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.status}: {megabytes(self.sent)} in {self.seconds:.1f} s" if self.status == PUSHED else self.status


Outcomes = Mapping[str, Result[Pushed]]


def push_image(project: Project, image: str, to: str, *, as_json: bool) -> int:
    """To the nodes that the pattern means; 4 when some of them do not have it now."""
    hosts = chosen_nodes(project, project.inventory(), to)
    outcomes = push_images(project, [image], hosts)[image]
    _try_again(project, [node for node in outcomes if node not in failures(outcomes)])
    old = _apps_on_old(project, image, [node for node in outcomes if node not in failures(outcomes)])
    if as_json:
        print_json([{**_row(node, outcome), "outdated": old.get(node, [])} for node, outcome in outcomes.items()])
    elif failed := failures(outcomes):
        again = f"to resume: ./inv push-image {image} --to {','.join(failed)}"
        say(f"{image}: {len(failed)} of {counted(len(outcomes), 'node')} without it ({again})")
    _say_old(project, image, old)
    return SOME_UNREACHABLE if failures(outcomes) else 0


def _try_again(project: Project, nodes: Sequence[str]) -> None:
    """What waits for the image there starts now. The image is there whatever becomes of that."""
    try:
        try_again(project, nodes)
    except DuckconfError as failure:
        say(f"what was refused there before is tried again after its pause: {failure}")


def _apps_on_old(project: Project, image: str, nodes: Sequence[str]) -> dict[str, list[str]]:
    """By node the apps that run what the tag meant before. A node that does not answer any more has none that we know."""
    with open_cluster(project) as cluster:
        told = ask_all(
            nodes, lambda node: cluster.fleet.runner(node).run(ask_for_old(project.cluster, image)), cluster.fleet.close
        )
    return {node: apps_on_old(image, done) for node, done in told.items() if not isinstance(done, Exception)}


def _say_old(project: Project, image: str, old: Mapping[str, Sequence[str]]) -> None:
    found = [f"{app} on {node}" for node, apps in old.items() for app in apps]
    if found:
        push = mode_of(project) == PUSH
        remedy = "./inv stop-app NAME, then ./inv start-app" if push else "./inv redeploy NAME"
        say(f"still on an older {image}: {', '.join(found)} (to start one from the new image: {remedy})")


def push_for_start(project: Project, image: str) -> None:
    """Where the app may come to run: what fails is said, and the start goes on with those that have the image.

    Raises the failure when no node has it.
    """
    inventory = project.inventory()
    cordoned = Cordons(project.state / cordons.FILE_NAME).names() if mode_of(project) == PUSH else frozenset()
    outcomes = push_images(project, [image], [host for host in inventory.node_hosts() if host.name not in cordoned])[image]
    failed = failures(outcomes)
    if failed and len(failed) == len(outcomes):
        raise next(iter(failed.values()))


def push_images(project: Project, images: Iterable[str], hosts: Sequence[Host]) -> dict[str, Outcomes]:
    """The outcome of each node for each image. Raises DuckconfError when this machine has not got one of them."""
    source = ImageSource(project.root / ".duckconf" / "images", LocalEngine(project.root).environ())
    names = [check_name(image) for image in images]
    with open_cluster(project, patience=PATIENCE) as cluster:
        return {name: _Push(source, name, hosts, cluster.fleet).run() for name in names}


def failures(outcomes: Outcomes) -> dict[str, DuckconfError]:
    return {node: outcome for node, outcome in outcomes.items() if isinstance(outcome, DuckconfError)}


class _Push:
    """One image to some nodes."""

    def __init__(self, source: ImageSource, name: str, hosts: Sequence[Host], fleet: Fleet) -> None:
        self._source = source
        self._name = name
        self._engines = {host.engine for host in hosts}
        self._fleet = fleet
        self._targets = {host.name: ImageTarget(host.name, fleet.runner(host.name)) for host in hosts}
        self._outcomes: dict[str, Result[Pushed]] = {}

    def run(self) -> Outcomes:
        image, held = self._look()
        say(f"{self._name}: {image.id[:12]} of this machine's {image.program}")
        for node, failure in held.items():
            if isinstance(failure, DuckconfError):
                self._end(node, failure)
        lacking = {node: there.id for node, there in held.items() if isinstance(there, Held)}
        self._skip(image, lacking)
        for node, there in held.items():
            if node in lacking and isinstance(there, Held) and not runs(there.architecture, image.architecture, there.emulated):
                del lacking[node]
                self._end(node, _for_another(node, there.architecture, image))
        if lacking:
            self._deliver(image, lacking)
        return {node: self._outcomes[node] for node in self._targets}

    def _look(self) -> tuple[SourceImage, dict[str, Result[Held]]]:
        """The image here, and at the same time what each node has under its name."""
        with ThreadPoolExecutor(1) as pool:
            finding = pool.submit(self._source.find, self._name)
            held = ask_all(self._targets, lambda node: self._targets[node].held(self._name), self._fleet.close)
            return finding.result(), held

    def _skip(self, image: SourceImage, lacking: dict[str, str]) -> None:
        """Take those that have this very image out."""
        known = self._source.known_ids(image)
        for node in [node for node, there in lacking.items() if there in known]:
            del lacking[node]
            self._end(node, Pushed(PRESENT))

    def _deliver(self, image: SourceImage, lacking: dict[str, str]) -> None:
        with self._source.packing(image, best_packing(self._engines)) as archive:
            if any(lacking.values()):
                # Packing tells under which other id an engine has it after loading, which may be what they have.
                with step(f"packing {self._name}"):
                    archive.whole()
                self._skip(image, lacking)
            if lacking:
                say(f"  to {some_of(lacking)}")
                with progress(archive.size_if_known) as shown:
                    done = ask_all(lacking, lambda node: self._one(image, archive, node, shown), self._fleet.close)
                self._outcomes |= done
        if not failures(self._outcomes):
            self._source.forget(image)

    def _one(self, image: SourceImage, archive: Archive, node: str, shown: Progress) -> Pushed:
        try:
            outcome = self._push(image, archive, node, shown)
        except DuckconfError as error:
            shown.ended(node, f"failed: {error}")
            raise
        shown.ended(node, str(outcome))
        return outcome

    def _push(self, image: SourceImage, archive: Archive, node: str, shown: Progress) -> Pushed:
        target, begun = self._targets[node], time.monotonic()
        part = target.name_or_part(self._name, archive, self._source.known_ids(image))
        if part is None:
            return Pushed(PRESENT)
        done = target.deliver(self._name, archive, part, lambda begin, length: shown.told(node, begin, length))
        self._source.learn(image, done.id)
        return Pushed(PUSHED, done.sent, time.monotonic() - begun)

    def _end(self, node: str, outcome: Result[Pushed]) -> None:
        self._outcomes[node] = outcome
        say(f"  failed: {outcome}" if isinstance(outcome, DuckconfError) else f"  {node}: {outcome}")


def _for_another(node: str, architecture: str, image: SourceImage) -> NodeFailure:
    remedy = f"build or pull it for linux/{architecture}, under a name of its own"
    return NodeFailure(node, f"is {architecture}, and {image.name} is for {image.architecture}", remedy)


def _row(node: str, outcome: Result[Pushed]) -> dict[str, object]:
    if isinstance(outcome, DuckconfError):
        return {"node": node, "status": "failed", "reason": str(outcome), "sent": None, "seconds": None}
    return {"node": node, "status": outcome.status, "reason": "", "sent": outcome.sent, "seconds": round(outcome.seconds, 2)}
