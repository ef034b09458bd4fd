"""Fabric as it comes, a thread pool of persistent connections: `python -m benchmarks.clients.stock_fabric TARGET`."""

from __future__ import annotations

import functools
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import fabric

from benchmarks.clients.passes import check_answers, read_target, serve

WORKERS = 50
IDLE_SECONDS = 10.0


def main(path: str) -> None:
    target = read_target(path)
    login = {"key_filename": target.key, "allow_agent": False, "look_for_keys": False}
    # In one thread: making a Connection writes into its Config.
    connections = [fabric.Connection(host, target.user, port, connect_kwargs=login) for host, port in target.hosts]
    pool = ThreadPoolExecutor(WORKERS)

    def ask(connection: fabric.Connection) -> str:
        return str(connection.run(target.command, hide=True).stdout)

    def look() -> None:
        check_answers(list(pool.map(ask, connections)), target)

    serve({"connect": look, "look": look, "idle": functools.partial(time.sleep, IDLE_SECONDS)})


if __name__ == "__main__":
    main(sys.argv[1])
