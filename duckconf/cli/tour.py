"""The narrated tour of push mode: it does what a person would type, and says what to see in it."""

from __future__ import annotations

from duckconf.actions import Kill
from duckconf.cli.cluster import Cluster, app_row, open_cluster
from duckconf.cli.push import up_push
from duckconf.cli.say import say
from duckconf.cli.tables import print_table
from duckconf.naming import WEB_IMAGE
from duckconf.reach.client import ApiClient
from duckconf.reach.project import Project

COLUMNS = ("app", "node", "state", "image")


def tour_push(project: Project) -> None:
    """From nothing to an app on each node, and one that stays down."""
    say("\n1. Hosts and API: ./inv up push")
    up_push(project)
    client = ApiClient(project.settings.api_url)
    nodes = project.inventory().nodes
    say(f"\n2. Three requests, one node after the other (round-robin): ./inv start-app {WEB_IMAGE}")
    started = [client.call("POST", "/app/start", {"image": WEB_IMAGE}) for _ in nodes]
    for answer in started:
        say(f"   POST /app/start → 201 {answer['app']} on {answer['node']}")
    with open_cluster(project) as cluster:
        say("\n3. What runs, asked of every node at once: ./inv ps")
        _show(cluster)
        victim = cluster.find(started[0]["app"])
        say(f"\n4. One app crashes: ./inv kill-app {victim.app}")
        cluster.act(Kill(victim.node, victim.name))
        _show(cluster)
        say("\n   It stays down. Push acts once, when the request comes, and never looks back: that is the lesson.")
    say("\nNow by hand: ./inv start-app nginx · ./inv ps · ./inv stop-node node-2 · ./inv nodes · ./inv down")


def _show(cluster: Cluster) -> None:
    rows = [app_row(container) for found in cluster.observe().values() if isinstance(found, tuple) for container in found]
    print_table(rows, COLUMNS, "no apps")
