"""The API server as a process: `python -m api.serve --project DIR`; started by `./inv up push`.

Wires inventory, fleet and state to the Flask app, and serves it with waitress until SIGTERM.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import waitress

from api.factory import create_app
from api.push import Pusher
from api.turns import TurnBook
from duckconf.errors import DuckconfError, SetupError
from duckconf.inventory import Inventory
from duckconf.naming import push_number
from duckconf.reach.files import FolderLock
from duckconf.reach.fleet import Fleet
from duckconf.reach.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.hosts import InventoryFollower
from duckconf.reach.parallel import ask_all
from duckconf.reach.project import Project, load_project
from duckconf.reach.sensor import observe_all

log = logging.getLogger("api")

# Above this waitress itself refuses; below, the app does and says so as a problem.
LARGEST_READ = 8 * 1024 * 1024
CONNECTIONS = 1000


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.serve", description="The Duckconf API in push mode.")
    parser.add_argument("--project", type=Path, required=True, help="folder that holds invoke.yml and the inventory")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Paramiko tells of every lost connection with a traceback; the fleet says it in one line.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(load_project(options.project, os.environ))
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


def serve(project: Project) -> None:
    """Serve until the process is told to end. Raises DuckconfError when it cannot start."""
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FolderLock(project.state / "api.lock", "the API server")
    hosts = InventoryFollower(project.inventory_path, project.root)
    inventory = hosts.current()
    fleet = Fleet(
        inventory.node_hosts(),
        KnownHosts(project.pins, OWN_PINS),
        project.login_key,
        project.settings.node_deadline,
        keeps_trying=True,
    )
    listener = listen(project.settings.api_url)
    book = open_book(project, inventory, fleet)
    app = create_app(Pusher(project.cluster, hosts, fleet, book), project.cluster, listener.getsockname()[0])
    server = waitress.create_server(
        app,
        sockets=[listener],
        threads=project.settings.api_threads,
        connection_limit=CONNECTIONS,
        max_request_body_size=LARGEST_READ,
        asyncore_use_poll=True,
        ident="duckconf",
    )
    log.info("cluster %s, push mode, serving %s for %d nodes", project.cluster, project.settings.api_url, len(inventory.nodes))
    try:
        server.run()
    finally:
        fleet.close()
        lock.release()


def listen(url: str) -> socket.socket:
    """A bound socket for the server; raises SetupError when the address is bad or taken."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise SetupError(f"api_url should be http://HOST:PORT, got {url}", "see DUCKCONF_API and invoke.yml")
    listener = socket.socket(socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((parts.hostname, parts.port or 80))
    except OSError as error:
        raise SetupError(f"cannot listen on {url}: {error.strerror}", "free it or choose another with DUCKCONF_API") from error
    return listener


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
