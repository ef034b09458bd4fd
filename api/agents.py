"""The API server of agents mode as a process: `python -m api.agents --config FILE`; the role `control_plane` runs it.

Everything that it needs stands in one JSON file; it knows neither inventory nor SSH.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Flask, request

from api import data, front, hands, ops, placed, rebalance, rollouts, secrets, stacks, takeover
from api import nodes as node_routes
from api.auth import Tokens, authenticate, caller, require_operator
from api.ends import Ends
from api.factory import create
from api.held import HeldRequests
from api.live import routes as live
from api.live.components import Components
from api.live.hub import Hub
from api.live.of_agents import OfAgents
from api.metrics import Metrics
from api.page import routes as page
from api.page.session import Sessions
from api.request_id import request_id
from api.server import bind, serve
from api.stores.data import HeldData
from api.stores.desired import DesiredStore
from api.stores.fronts import FrontBook
from api.stores.images import Images
from api.stores.nodes import READY, NodeBook, Seen
from api.stores.placed import PlacedIndex
from api.stores.questions import Questions
from duckconf.actions import Pin
from duckconf.desired import PLACED_COLUMNS, empty_document
from duckconf.errors import DuckconfError
from duckconf.pins import Key
from duckconf.reach.api.control_config import ControlConfig, read_control_config
from duckconf.reach.nodes.hands import AskedHands
from duckconf.reach.state import journal as journal_file
from duckconf.reach.state import logs
from duckconf.reach.state.data import FILE_NAME as DATA
from duckconf.reach.state.data import DataBook
from duckconf.reach.state.files import FolderLock, write_durably
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.news import News
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import FILE_NAME as SECRETS
from duckconf.reach.state.secrets import SecretFile

log = logging.getLogger("api")

STATE = "state.csv"
NODES = "nodes.json"
# Each node holds one watch and sends heartbeats; the rest is for people, scheduler and node-controller.
THREADS_PER_NODE = 1.1
THREADS_MORE = 40


class Agents:
    """Agents mode, as the routes for operators see it."""

    name = "agents"

    def __init__(self, store: DesiredStore, nodes: NodeBook) -> None:
        self._store = store
        self._nodes = nodes

    def troubles(self) -> Mapping[str, str]:
        trouble = self._store.trouble
        return {self._store.path.name: trouble} if trouble else {}

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
        except OSError as error:
            log.warning("which data is on %s cannot be noted yet: %s", node, error)

    def learn(self, node: str, found: Mapping[Key, Pin]) -> None:
        try:
            self.images.learn(node, found)
        except OSError as error:
            log.warning("which images %s told of cannot be noted yet: %s", node, error)


def create_agents(
    store: DesiredStore,
    nodes: NodeBook,
    index: PlacedIndex,
    tokens: Tokens,
    journal: Journal,
    config: ControlConfig,
    held: int,
    kept: SecretFile,
    book: RevisionBook,
) -> Flask:
    """The API in agents mode; at most `held` requests are held open at once."""
    metrics, watches = Metrics(), HeldRequests(held)
    mode = Agents(store, nodes)
    interval = min(config.interval, config.node_timeout / 4)
    names = {*config.names, urlsplit(config.listen).hostname or ""}
    images = Images(index, nodes, book)
    updates = rollouts.Rollouts(store, index, nodes, book, journal.add, watches, images)
    questions = Questions(nodes, index.wake, watches)
    apps = placed.Routes(store, index, nodes, journal.add, watches, kept.current, updates, questions)
    components = Components()
    browsers = Sessions(store.path.parent, config.cluster, lambda: tokens.mark, time.time)
    pictures = OfAgents(config.cluster, store, nodes, index, journal, components, journal.news.tell)
    hub = Hub(pictures, journal, journal.news)
    noted = Noted(Ends(store, index), index, images, pictures)
    fronts = FrontBook(index, nodes, config.edges)

    blueprints = (
        data.blueprint(data.Routes(store, index, nodes, journal.add)),
        placed.blueprint(apps),
        stacks.blueprint(store, journal.add, kept.current, stacks.keeping_places(updates)),
        rollouts.blueprint(updates, apps.again),
        *_of_fronts(index, fronts, config, watches),
        takeover.blueprint(takeover.Takeover(store, index, updates, journal.add, kept.current)),
        secrets.blueprint(kept, store, index, journal.add),
        rebalance.scheduled(rebalance.Scheduled(RebalanceBook(store.path.parent), journal.add, index, watches)),
        node_routes.blueprint(index, nodes, interval, journal.add, watches, noted.record, noted.learn, fronts.for_node),
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

    return create(metrics, names, *blueprints, authenticate=know_the_caller, changed=hub.changed)


def _of_fronts(
    index: PlacedIndex, fronts: FrontBook, config: ControlConfig, watches: HeldRequests
) -> tuple[Blueprint, Blueprint]:
    """Operators are told where a node is reached from outside, fronts where other nodes reach it."""

    def outside(node: str) -> str:
        return config.addresses.get(node, node)

    def inside(node: str) -> str:
        return config.edge_addresses.get(node) or outside(node)

    told = front.blueprint(front.of_agents(index, fronts, outside, watches))
    return told, front.of_edges(front.Edges(front.of_agents(index, fronts, inside, watches), fronts))


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
    if not (state / STATE).exists() and not (state / NODES).exists():
        # The first start ever. Later, a state that is missing is an accident and stops nothing.
        write_durably(state / STATE, empty_document(PLACED_COLUMNS).text().encode())
    nodes = NodeBook(state / NODES, config.nodes, config.node_timeout)
    kept = SecretFile(state / SECRETS)
    book = RevisionBook.at(state / HISTORY)
    if book.trouble:
        log.warning("%s", book.trouble)
    index = PlacedIndex(nodes, secrets.resolving(kept), config.sites, lambda app: book.revisions.get(app, ()))
    index.data = HeldData(DataBook.at(state / DATA, dict))
    store = DesiredStore(state / STATE, journal.add, PLACED_COLUMNS, index.see, alone=True)
    for name, target in (("state", store.watch), ("nodes", nodes.keep_on_disk)):
        threading.Thread(target=target, name=name, daemon=True).start()
    threads = int(len(config.nodes) * THREADS_PER_NODE) + THREADS_MORE
    tokens = Tokens(Path(config.tokens_file))
    app = create_agents(store, nodes, index, tokens, journal, config, threads - THREADS_MORE // 2, kept, book)
    log.info("cluster %s, agents mode, serving %s for %d nodes", config.cluster, config.listen, len(config.nodes))
    try:
        serve(bind(config.listen, threads, config.certificate, config.key), app)
    finally:
        store.close()
        nodes.close()
        lock.release()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
