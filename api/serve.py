"""The API server as a process: `python -m api.serve --project DIR --mode MODE`; started by `./inv up MODE`.

Wires a mode's parts to its Flask app, and serves it until SIGTERM.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cheroot import wsgi
from flask import Flask

from api.factory import create_push, create_reconcile
from api.frozen import DemoNodes
from api.live.of_push import OfPush
from api.ops import FOLDER
from api.push import Pusher
from api.server import bind, serve
from api.stores.desired import DesiredStore
from api.turns import TurnBook
from duckconf.errors import DuckconfError
from duckconf.inventory import Inventory
from duckconf.naming import push_number
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.nodes.observer import Observer
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.nodes.sensor import observe_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.state import cordons, desired_file, logs, observer_socket, passings
from duckconf.reach.state import journal as journal_file
from duckconf.reach.state import reports as report_file
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.files import FolderLock
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.news import of_folder
from duckconf.reach.state.reports import ReportFile

log = logging.getLogger("api")


# The files of the state that show in the picture of the cluster.
SHOWN = (
    journal_file.FILE_NAME,
    report_file.FILE_NAME,
    passings.FILE_NAME,
    desired_file.FILE_NAME,
    cordons.FILE_NAME,
    cordons.DRAINS_NAME,
)


class Served(NamedTuple):
    """A mode's app and the server that listens for it."""

    app: Flask
    server: wsgi.Server


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.serve", description="The Duckconf API.")
    parser.add_argument("--project", type=Path, required=True, help="folder that holds invoke.yml and the inventory")
    parser.add_argument("--mode", choices=sorted(MODES), default="push", help="the control style to serve")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object per line, for programs")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=options.json_logs)
    try:
        project = load_project(options.project, os.environ)
        project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(project.state / "api.lock", "the API server")
        with MODES[options.mode](project) as served:
            served.app.config[FOLDER] = str(project.root)
            log.info("cluster %s, %s mode, serving %s", project.cluster, options.mode, project.settings.api_url)
            serve(served.server, served.app, finish=True)
        lock.release()
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


@contextmanager
def push_mode(project: Project) -> Iterator[Served]:
    hosts = InventoryFollower(project.inventory_path, project.root)
    inventory = hosts.current()
    pins, deadline = KnownHosts(project.pins, OWN_PINS), project.settings.node_deadline
    fleet = Fleet(inventory.node_hosts(), pins, project.login_key, deadline, keeps_trying=True, refusals=project.refusals)
    server = bind(project.settings.api_url, project.settings.api_threads)
    book = open_book(project, inventory, fleet)
    pusher = Pusher(project.cluster, hosts, fleet, book, Cordons(project.state / cordons.FILE_NAME))
    names, threads = _names(server, project), project.settings.api_threads
    observer, ended = Observer(pusher.pairs, pusher.observe), threading.Event()
    threading.Thread(target=observer.keep_facts, args=(ended,), name="facts", daemon=True).start()
    observer_socket.serve(project.state, observer.look)
    try:
        journal = open_journal(project)
        pictures = OfPush(project.cluster, pusher, journal.news.tell)
        yield Served(
            create_push(pusher, pictures, project.cluster, journal, names, threads, DemoNodes(project.root).freeze), server
        )
    finally:
        ended.set()
        fleet.close()


@contextmanager
def reconcile_mode(project: Project) -> Iterator[Served]:
    journal = open_journal(project)
    server = bind(project.settings.api_url, project.settings.api_threads)
    store = DesiredStore(project.state / desired_file.FILE_NAME, journal.add)
    watcher = threading.Thread(target=store.watch, name="desired-state", daemon=True)
    watcher.start()
    reports = ReportFile(project.state / report_file.FILE_NAME)
    names, threads = _names(server, project), project.settings.api_threads

    @functools.cache
    def hosts() -> InventoryFollower:
        """Only where an app has a route does anybody ask for addresses."""
        return InventoryFollower(project.inventory_path, project.root)

    def address_of(node: str) -> str:
        return hosts().current().front_address(node)

    try:
        more = project.settings.node_timeout, project.settings.loop_interval, DemoNodes(project.root).freeze
        yield Served(create_reconcile(store, reports, project.cluster, journal, names, threads, address_of, *more), server)
    finally:
        store.close()


MODES: Mapping[str, Callable[[Project], AbstractContextManager[Served]]] = {"push": push_mode, "reconcile": reconcile_mode}


def _names(server: wsgi.Server, project: Project) -> tuple[str, ...]:
    """What clients call the server: the address that it listens on, and the name for it in the settings."""
    return str(server.socket.getsockname()[0]), urlsplit(project.settings.api_url).hostname or ""


def open_journal(project: Project) -> Journal:
    """It is told of what other processes write that concerns the picture."""
    return Journal(project.state / journal_file.FILE_NAME, "api", news=of_folder(project.state, SHOWN))


def open_book(project: Project, inventory: Inventory, fleet: Fleet) -> TurnBook:
    """The book of turns. Where it was lost, the numbers go on after the highest that any reachable node still has.

    Asking for it also opens the connections, so that the first request does not wait for them.
    """
    path = project.state / "push.json"
    pairs = {host.name: (host, fleet.runner(host.name)) for host in inventory.node_hosts()}
    if path.exists():
        ask_all(pairs, lambda node: pairs[node][1].open())
        return TurnBook(path)
    seen = observe_all(project.cluster, pairs)
    numbers = [push_number(container.name) for found in seen.values() if isinstance(found, tuple) for container in found]
    return TurnBook(path, max(numbers, default=0) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
