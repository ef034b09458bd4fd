"""Makes the Flask app of a mode out of its parts. No globals: every server and every test has its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, request
from werkzeug.routing import Rule

from api import cordoned, declared, front, hands, ops, problems, pushed, rebalance, request_id, secrets, stacks
from api.held import HeldRequests
from api.live import routes as live
from api.live.hub import Hub
from api.live.of_loop import OfLoop
from api.metrics import Metrics
from api.page import routes as page
from api.stores.desired import DesiredStore
from duckconf.net_address import bracketed
from duckconf.reach.nodes.hands import AskedHands, OwnHands, at_socket
from duckconf.reach.state import passings as passing_file
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.passings import PassingFile
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.reports import ReportFile
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import read_told
from duckconf.reach.state.secrets import FILE_NAME as SECRETS
from duckconf.reach.state.secrets import SecretFile
from duckconf.report import READY, Report

if TYPE_CHECKING:
    # Push mode holds SSH connections; what the other modes import must not need them.
    from api.live.of_push import OfPush
    from api.push import Pusher

LARGEST_BODY = 64 * 1024
NO_SECRETS = "push mode keeps no state and no secrets; they need mode reconcile or agents: ./inv up reconcile"
IN_A_FILE = "in mode reconcile this API has no secrets: set and list them with ./inv secret on the machine of the loop"
READS = ("GET", "HEAD", "OPTIONS")
# Requests that come all the time; who takes them knows whether they change anything.
REPORTS = ("nodes.heartbeat", "edges.told", "leases.ask")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Matched(Rule):
    """A route that requests are matched with, and no URL is ever built from: werkzeug would compile two functions for that for
    each route, which takes longer than all else that makes an app."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _never_built


def _never_built(*_: object, **__: object) -> NoReturn:
    raise NotImplementedError("no URL is built from a route")


class Push:
    """Push mode, as the routes for operators see it."""

    name = "push"

    def __init__(self, pusher: Pusher) -> None:
        self._pusher = pusher

    def troubles(self) -> Mapping[str, str]:
        nodes, away = self._pusher.nodes(), self._pusher.away()
        return away if len(away) == len(nodes) else {}

    def away(self) -> Mapping[str, bool]:
        away = self._pusher.away()
        return {node: node in away for node in self._pusher.nodes()}


class Reconcile:
    """Reconcile mode: what the loop reported, and whether the desired state can be read."""

    name = "reconcile"

    def __init__(self, store: DesiredStore, reports: ReportFile) -> None:
        self._store = store
        self._reports = reports

    def troubles(self) -> Mapping[str, str]:
        trouble = self._store.trouble
        return {self._store.path.name: trouble} if trouble else {}

    def away(self) -> Mapping[str, bool]:
        report = self._reports.read()
        return {name: view.status != READY for name, view in report.nodes.items()} if report else {}


def create_push(
    pusher: Pusher,
    pictures: OfPush,
    cluster: str,
    journal: Journal,
    names: Collection[str] = (),
    threads: int = 8,
    freezes: cordoned.Freeze = cordoned.no_demo_hosts,
) -> Flask:
    """The API in push mode; `names` are those that it is reached by, besides the loopback names."""
    metrics, held = Metrics(), HeldRequests(max(1, threads // 2))
    journal.request = request_id.request_id
    refusing = secrets.elsewhere(NO_SECRETS), rebalance.elsewhere(), stacks.elsewhere()
    pusher.acts = pictures.acts
    hub = Hub(pictures, journal, journal.news)
    operated = ops.blueprint(Push(pusher), metrics, cluster, journal, held, hub)
    apps = pushed.blueprint(pusher, metrics, journal.add, pictures.asked)
    nodes = cordoned.blueprint(journal.path.parent, partial(_demo, pusher), journal.add, freezes, drains=False)
    own = hands.blueprint(OwnHands(cluster, lambda node: pusher.pairs()[node][1]), journal.add)
    return create(metrics, names, apps, nodes, own, *refusing, operated, live.blueprint(hub), changed=hub.changed)


def create_reconcile(
    store: DesiredStore,
    reports: ReportFile,
    cluster: str,
    journal: Journal,
    names: Collection[str] = (),
    threads: int = 8,
    address_of: Callable[[str], str] = str,
    node_timeout: float = 20.0,
    loop_interval: float = 10.0,
    freezes: cordoned.Freeze = cordoned.no_demo_hosts,
) -> Flask:
    """The API in reconcile mode: it has no way to a node, and none to the values of secrets, which lie beside the state.
    `address_of` has where a front reaches a node."""
    metrics, held = Metrics(), HeldRequests(max(1, threads // 2))
    journal.request = request_id.request_id
    kept = SecretFile(store.path.with_name(SECRETS))
    past = partial(read_told, store.path.with_name(HISTORY))
    folder = store.path.parent
    passings = PassingFile(folder / passing_file.FILE_NAME, time.time)
    nodes = cordoned.blueprint(folder, partial(_demo_told, reports), journal.add, freezes, drains=True)
    pictures = OfLoop(cluster, store, reports, passings, node_timeout, loop_interval, time.time)
    hub = Hub(pictures, journal, journal.news)
    apps = declared.blueprint(store, reports.read, journal.add, held, kept.current, past)
    return create(
        metrics,
        names,
        apps,
        nodes,
        hands.blueprint(AskedHands(at_socket(folder)), journal.add),
        stacks.blueprint(store, journal.add, kept.current),
        rebalance.blueprint(RebalanceBook(store.path.parent), journal.add),
        front.blueprint(front.of_loop(store, reports, address_of, held, journal.news)),
        secrets.elsewhere(IN_A_FILE),
        ops.blueprint(Reconcile(store, reports), metrics, cluster, journal, held, hub, pictures.passes),
        live.blueprint(hub),
        changed=hub.changed,
    )


def _demo(pusher: Pusher) -> dict[str, bool]:
    """Whether each node is a demo host."""
    return {host.name: host.demo for host, _ in pusher.pairs().values()}


def _demo_told(reports: ReportFile) -> dict[str, bool]:
    """The same, as the loop tells it."""
    return {name: view.demo for name, view in (reports.read() or Report()).nodes.items()}


def create(
    metrics: Metrics,
    names: Collection[str],
    *blueprints: Blueprint,
    authenticate: Callable[[], None] = lambda: None,
    changed: Callable[[], None] = lambda: None,
) -> Flask:
    """An app with what all modes share. `names` are those that it is reached by, besides loopback; `authenticate` knows
    the caller of the current request or raises; only `/healthz` and the files of the page are open without it. `changed` is
    called after each request that may have changed something; reports of nodes are not meant."""
    app = Flask("duckconf", static_folder=None)
    app.url_rule_class = Matched
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    known_as = {_spelled(name) for name in (*LOOPBACK, *names)}

    @app.before_request
    def begin() -> None:
        g.begun = time.monotonic()

    @app.before_request
    def refuse_foreign_names() -> Response | None:
        """A web page can make a name of its own point here; its requests still carry that name."""
        name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
        if _spelled(name) in known_as:
            return None
        return problems.problem(HTTPStatus.MISDIRECTED_REQUEST, f"this server is not called {name!r}")

    app.before_request(_refuse_other_sites)

    @app.before_request
    def know_the_caller() -> None:
        if request.endpoint != "ops.healthz" and not page.needs_no_token():
            authenticate()

    @app.after_request
    def count(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        took = None if "wait" in request.args or "begun" not in g else time.monotonic() - g.begun
        metrics.count_answer(route, answer.status_code, took)
        request_id.named(answer)
        if request.method not in READS and request.endpoint not in REPORTS:
            changed()
        return answer

    problems.register(app)
    for blueprint in (*blueprints, page.blueprint()):
        app.register_blueprint(blueprint)
    return app


def _refuse_other_sites() -> Response | None:
    """A browser says which page sends a request that may change something; a program says nothing."""
    origin = request.headers.get("Origin")
    if request.method in READS or origin is None or urlsplit(origin).netloc == request.host:
        return None
    return problems.problem(HTTPStatus.FORBIDDEN, f"a page of {origin} may change nothing here")


def _spelled(name: str) -> str:
    """A name as it is compared: hosts' names have no case, and may end with a dot."""
    return bracketed(name.lower().removesuffix("."))
