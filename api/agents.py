"""The API server of agents mode as a process: `python -m api.agents --config FILE`; the role `control_plane` runs it.

Everything that it needs stands in one JSON file; it knows neither inventory nor SSH.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Flask, request

from api import data, front, hands, leases, ops, placed, rebalance, rollouts, secrets, stacks, takeover
from api import nodes as node_routes
from api.auth import Tokens, authenticate, caller, require_operator
from api.ends import Ends
from api.factory import create
from api.held import HeldRequests
from api.known import Known, knowing
from api.live import routes as live
from api.live.components import Components
from api.live.hub import Hub
from api.live.of_agents import OfAgents
from api.metrics import Metrics
from api.mirrored import confirm, follow_moves, mirror_in, require_same, require_whole
from api.others import Joined, Nobody, Others, say_age
from api.page import routes as page
from api.page.session import Sessions
from api.request_id import request_id
from api.server import bind, serve
from api.stores.fronts import FrontBook
from api.stores.images import Images
from api.stores.kept import Kept, in_files, together
from api.stores.nodes import READY, NodeBook, Seen
from api.stores.placed import PlacedIndex
from api.stores.questions import Questions
from api.stores.store import Store
from duckconf.actions import Pin
from duckconf.errors import DuckconfError, NotNow
from duckconf.pins import Key
from duckconf.reach.api.control_config import ControlConfig, read_control_config
from duckconf.reach.nodes.hands import AskedHands
from duckconf.reach.state import journal as journal_file
from duckconf.reach.state import logs
from duckconf.reach.state.files import FolderLock
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.news import News

log = logging.getLogger("api")

# Each node holds one watch and sends heartbeats; the rest is for people, scheduler and node-controller.
THREADS_PER_NODE = 1.1
THREADS_MORE = 40


class Agents:
    """Agents mode, as the routes for operators see it."""

    name = "agents"

    def __init__(self, store: Store, nodes: NodeBook) -> None:
        self._store = store
        self._nodes = nodes

    def troubles(self) -> Mapping[str, str]:
        trouble = self._store.trouble
        return {self._store.name: trouble} if trouble else {}

    def away(self) -> Mapping[str, bool]:
        return {name: self._nodes.status(name) != READY for name in self._nodes.nodes}


@dataclass(frozen=True)
class Noted:
    """What a heartbeat brings that is kept on disk. While it cannot be written, the heartbeat counts all the same."""

    ends: Ends
    index: PlacedIndex
    images: Images
    pictures: OfAgents

    def record(self, node: str, containers: Iterable[Seen]) -> None:
        self.pictures.heard(node, containers)
        self.ends.record(node, containers)
        try:
            self.index.note_data(node, containers)
        except (OSError, NotNow) as error:
            log.warning("which data is on %s cannot be noted yet: %s", node, error)

    def learn(self, node: str, found: Mapping[Key, Pin]) -> None:
        try:
            self.images.learn(node, found)
        except (OSError, NotNow) as error:
            log.warning("which images %s told of cannot be noted yet: %s", node, error)


def create_agents(known: Known, tokens: Tokens, journal: Journal, config: ControlConfig, held: int) -> Flask:
    """The API in agents mode; at most `held` requests are held open at once."""
    kept, nodes, index, store = known.kept, known.nodes, known.index, known.store
    metrics, watches = Metrics(), HeldRequests(held)
    mode = Agents(store, nodes)
    interval = min(config.interval, config.node_timeout / 4)
    names = {*config.names, urlsplit(config.listen).hostname or ""}
    images = Images(index, nodes, kept.revisions, kept.learned)
    questions = Questions(nodes, index.wake, watches)
    components = Components()
    browsers = Sessions(Path(config.operator_token_file), config.cluster, lambda: tokens.mark, time.time)
    pictures = OfAgents(config.cluster, store, nodes, index, journal, components, journal.news.tell)
    hub = Hub(pictures, journal, journal.news)
    noted = Noted(Ends(store, index), index, images, pictures)
    fronts = FrontBook(index, nodes, config.edges)
    others: Others = Nobody(index, fronts)
    if kept.mirror is not None:
        others = Joined(kept.mirror, config.server, nodes, index, fronts, journal, questions)
    reports = node_routes.Routes(
        index, nodes, interval, journal.add, watches, noted.record, noted.learn, fronts.for_node, others.hear, pictures.heard,
        others.catch_up,
    )  # fmt: skip
    others.join(reports.take)
    updates = rollouts.Rollouts(store, index, nodes, kept.revisions, journal.add, watches, images, others.tell_updates)
    origin = config.server if kept.mirror is not None else ""
    more = kept.secrets.current, updates, questions, others.stop_first, origin
    apps = placed.Routes(store, index, nodes, journal.add, watches, *more)
    rebalances = rebalance.Scheduled(kept.rebalances, journal.add, index, watches)
    kept.follow_rebalances(rebalances.changed)

    blueprints = (
        data.blueprint(data.Routes(store, index, nodes, journal.add)),
        placed.blueprint(apps),
        stacks.blueprint(store, journal.add, kept.secrets.current, stacks.keeping_places(updates)),
        rollouts.blueprint(updates, apps.again),
        *_of_fronts(index, fronts, config, watches, others),
        takeover.blueprint(takeover.Takeover(store, index, updates, journal.add, kept.secrets.current)),
        secrets.blueprint(kept.secrets, store, index, journal.add),
        rebalance.scheduled(rebalances),
        leases.blueprint(leases.Routes(kept.leases, watches)),
        node_routes.blueprint(reports),
        hands.blueprint(AskedHands(questions.ask), journal.add),
        hands.answers(questions),
        ops.blueprint(mode, metrics, config.cluster, journal, watches, hub),
        live.blueprint(hub),
        page.sessions(browsers, require_operator),
    )

    def know_the_caller() -> None:
        authenticate(tokens, browsers)
        if request.blueprint in (ops.NAME, live.NAME, hands.NAME):
            require_operator()
        if caller().operator:
            components.hear(request.headers.get("User-Agent", ""))

    app = create(metrics, names, *blueprints, authenticate=know_the_caller, changed=hub.changed)
    say_age(app, others)
    return app


def _of_fronts(
    index: PlacedIndex, fronts: FrontBook, config: ControlConfig, watches: HeldRequests, others: Others
) -> tuple[Blueprint, Blueprint]:
    """Operators are told where a node is reached from outside, fronts where other nodes reach it."""

    def outside(node: str) -> str:
        return config.addresses.get(node, node)

    def inside(node: str) -> str:
        return config.edge_addresses.get(node) or outside(node)

    told = front.blueprint(front.of_agents(index, fronts, outside, watches))
    return told, front.of_edges(front.Edges(front.of_agents(index, fronts, inside, watches), fronts, others.front_has))


def _kept(config: ControlConfig, folder: Path, journal: Journal) -> Kept:
    """Raises SetupError, NotNow, OSError."""
    if config.etcd is None:
        return in_files(folder, journal.add)
    mirror = mirror_in(config.etcd, config)
    require_whole(mirror)
    return together(mirror, mirror.why_cut_off)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.agents", description="The Duckconf API in agents mode.")
    parser.add_argument("--config", type=Path, required=True, help="the JSON file that the role writes")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object per line, for programs")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=options.json_logs)
    try:
        run(read_control_config(options.config))
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


def run(config: ControlConfig) -> None:
    """Serve until the process is told to end. Raises DuckconfError when it cannot start."""
    state = Path(config.state_dir)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FolderLock(state / "api.lock", "the API server")
    journal = Journal(state / journal_file.FILE_NAME, "api", news=News())
    journal.request = request_id
    kept = _kept(config, state, journal)
    if kept.revisions.trouble:
        log.warning("%s", kept.revisions.trouble)
    known = knowing(kept, config)
    threads = int(len(config.nodes) * THREADS_PER_NODE) + THREADS_MORE
    tokens = Tokens(Path(config.tokens_file))
    app = create_agents(known, tokens, journal, config, threads - THREADS_MORE // 2)
    if kept.mirror is not None:
        follow_moves(kept.mirror, functools.partial(os._exit, 1))
    mirrored = kept.mirror.run if kept.mirror is not None else known.nodes.keep_on_disk
    for name, target in (("state", known.store.watch), ("kept", mirrored)):
        threading.Thread(target=target, name=name, daemon=True).start()
    if kept.mirror is not None:
        # Whoever starts it again finds out what etcd has now.
        kept.mirror.went_back = functools.partial(os._exit, 1)
        confirm(kept.mirror)
        require_same(kept.mirror, state)
        kept.nodes.begin()
    known.index.tidy()
    log.info("cluster %s, agents mode, serving %s for %d nodes", config.cluster, config.listen, len(config.nodes))
    try:
        serve(bind(config.listen, threads, config.certificate, config.key), app)
    finally:
        known.store.close()
        known.nodes.close()
        lock.release()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
