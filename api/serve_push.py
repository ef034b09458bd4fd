"""Push mode as a process serves it: with connections over SSH to all nodes. Only `api.serve` calls this, in that mode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.factory import create_push
from api.frozen import DemoNodes
from api.live.of_push import OfPush
from api.push import Pusher
from api.served import Served, names_of, open_journal
from api.server import bind
from api.turns import TurnBook
from duckconf.inventory import Inventory
from duckconf.naming import push_number
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.observer import Observer
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.nodes.sensor import observe_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.state import cordons, observer_socket
from duckconf.reach.state.cordons import Cordons


@contextmanager
def served(project: Project) -> Iterator[Served]:
    hosts = InventoryFollower(project.inventory_path, project.root)
    inventory = hosts.current()
    pins, deadline = KnownHosts(project.pins, OWN_PINS), project.settings.node_deadline
    fleet = Fleet(inventory.node_hosts(), pins, project.login_key, deadline, keeps_trying=True, refusals=project.refusals)
    server = bind(project.settings.api_url, project.settings.api_threads)
    book = open_book(project, inventory, fleet)
    pusher = Pusher(project.cluster, hosts, fleet, book, Cordons(project.state / cordons.FILE_NAME))
    names, threads = names_of(server, project), project.settings.api_threads
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
