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

from api.factory import create_reconcile
from api.frozen import DemoNodes
from api.ops import FOLDER
from api.served import Served, names_of, open_journal
from api.server import bind, serve
from api.stores.desired import DesiredStore
from duckconf.errors import DuckconfError
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.state import desired_file, logs
from duckconf.reach.state import reports as report_file
from duckconf.reach.state.files import FolderLock
from duckconf.reach.state.reports import ReportFile

log = logging.getLogger("api")


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
    # What holds connections over SSH takes a third of the start, and the other mode has no way to a node.
    from api.serve_push import served

    with served(project) as found:
        yield found


@contextmanager
def reconcile_mode(project: Project) -> Iterator[Served]:
    journal = open_journal(project)
    server = bind(project.settings.api_url, project.settings.api_threads)
    store = DesiredStore(project.state / desired_file.FILE_NAME, journal.add)
    watcher = threading.Thread(target=store.watch, name="desired-state", daemon=True)
    watcher.start()
    reports = ReportFile(project.state / report_file.FILE_NAME)
    names, threads = names_of(server, project), project.settings.api_threads

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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
