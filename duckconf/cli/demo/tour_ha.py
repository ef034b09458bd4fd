"""The narrated tour of a control plane that loses a host, on a cluster of its own that is gone afterwards."""

from __future__ import annotations

import time
from typing import Any

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo import script
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.own_cluster import own_cluster
from duckconf.cli.demo.stage import Stage
from duckconf.cli.demo.tour import AgentTour, frozen
from duckconf.cli.look import tasks as look
from duckconf.cli.terminal.say import say
from duckconf.errors import SetupError
from duckconf.naming import WEB_IMAGE
from duckconf.reach.inventory.project import Project

NODES, CONTROL_PLANES = 2, 3
FIRST, SECOND = "duck-1", "duck-2"
INVENTORY = """\
[control_plane]
control-1 ansible_port={}
control-2 ansible_port={}
control-3 ansible_port={}
[nodes]
node-1 ansible_port={}
node-2 ansible_port={}
[all:vars]
duckconf_cluster={}
duckconf_provider=container
ansible_host=127.0.0.1
ansible_user=root
"""


def tour_ha(here: Project, stage: Stage) -> None:
    """From nothing to an app that is placed while the host of the leader stands still."""
    with own_cluster(here, "ha", INVENTORY, CONTROL_PLANES + NODES, CONTROL_PLANES) as project:
        with stage.step(script.HA_UP):
            bring_up.up(project, modes.AGENTS)
        with stage.step(script.HA_LOOK):
            look.status(project, as_json=False)
        tour = AgentTour(project)
        with stage.step(script.HA_SUBMIT, app=FIRST):
            _submit(project, tour, FIRST, [FIRST])
        leader = _leader(project)
        with frozen(project, leader) as hosts:
            _lose(project, tour, stage, hosts, leader)
    say("\nOn your hosts: put three hosts into the group control_plane, then ./inv up agents (docs/real-hosts.md)")


def _lose(project: Project, tour: AgentTour, stage: Stage, hosts: DemoHosts, leader: str) -> None:
    with stage.step(script.HA_FREEZE, host=leader, app=SECOND):
        hosts.freeze(leader)
        _submit(project, tour, SECOND, [FIRST, SECOND])
        say(f"   the scheduler of {_leader(project)} leads now")
    with stage.step(script.HA_THAW, host=leader):
        hosts.thaw(leader)
        tour.until("each app runs once", lambda: tour.once_each([FIRST, SECOND]))
        look.ps(project, "", as_json=False)
        look.status(project, as_json=False)


def _submit(project: Project, tour: AgentTour, name: str, names: list[str]) -> None:
    begun = time.monotonic()
    api_client(project).call("POST", "/app/start", {"name": name, "image": WEB_IMAGE})
    tour.until("a scheduler places it and an agent runs it", lambda: tour.running(names))
    say(f"   submitted and running after {time.monotonic() - begun:.2f} s")


def _leader(project: Project) -> str:
    """The host whose scheduler leads. Raises SetupError when none does."""
    leases: list[dict[str, Any]] = api_client(project).call("GET", "/leases")["leases"]
    found = next((lease["who"] for lease in leases if lease["name"] == "scheduler" and lease["who"]), "")
    if not found:
        raise SetupError("no scheduler leads", "see ./inv logs scheduler")
    return str(found)
