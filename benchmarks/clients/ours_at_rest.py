"""Our connections with nothing to do: `python -m benchmarks.clients.ours_at_rest DIR CLUSTER`.

Each node's connection as the loop holds it between two passes: its engine followed, its line open. They are opened a few
at a time, because how is not what is measured here.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.clients.passes import serve
from duckconf import engine
from duckconf.errors import NodeFailure
from duckconf.inventory import Host
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.sensor import observe
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts
from duckconf.settings import Settings

AT_ONCE = 8
TRIES = 5
IDLE_SECONDS = 10.0


def main(folder: str, cluster: str) -> None:
    project = Project(Path(folder), Settings(inventory="hosts.ini"), cluster)
    hosts = project.inventory(secrets=True).node_hosts()
    fleet = Fleet(hosts, KnownHosts(project.pins), project.login_key, project.settings.node_deadline)

    def hold(host: Host) -> None:
        runner = fleet.runner(host.name)
        for left in reversed(range(TRIES)):
            try:
                runner.open()
                break
            except NodeFailure:
                if not left:
                    raise
        # The line is opened at the second question.
        for _ in range(2):
            observe(cluster, host, runner)
        follow = functools.partial(runner.follow, engine.endings(cluster, host.engine), lambda _: None)
        threading.Thread(target=follow, daemon=True).start()

    def hold_all() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(hold, hosts))

    serve({"connect": hold_all, "idle": functools.partial(time.sleep, IDLE_SECONDS)})


if __name__ == "__main__":
    main(*sys.argv[1:])
