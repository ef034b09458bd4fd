"""The narrated tour of a stack behind a front, on a cluster of its own that is gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from duckconf.cli.apps.update import rollback
from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.demo import script
from duckconf.cli.demo.demo_front import front_of
from duckconf.cli.demo.load import Count, Target, load
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.demo.own_cluster import own_cluster
from duckconf.cli.demo.stage import Stage
from duckconf.cli.look.front import routes
from duckconf.cli.stacks.apply import apply
from duckconf.cli.stacks.listing import stacks, stop_stack
from duckconf.cli.stacks.reading import Asked
from duckconf.cli.terminal.say import say
from duckconf.errors import SetupError
from duckconf.reach.inventory.project import Project

HOST = "shop.example.org"
APP = "shop-web"
RATE = 50.0
WITHIN = 30.0
INVENTORY = """\
[nodes]
node-1 ansible_port={}
node-2 ansible_port={}
node-3 ansible_port={}
[edge]
node-1
[all:vars]
duckconf_cluster={}
duckconf_provider=container
duckconf_acme=internal
ansible_host=127.0.0.1
ansible_user=root
"""
COMPOSE = """\
name: shop
services:
  web:
    image: localhost/duckconf/web
    ports: ["80"]
    environment:
      VERSION: "{}"
    labels:
      duckconf.route: shop.example.org
    deploy:
      replicas: 3
      update_config: {{order: start-first, monitor: 1s}}
"""


def tour_stack(here: Project, stage: Stage) -> None:
    """From nothing to a stack that is updated and rolled back while people use it."""
    with own_cluster(here, "stack", INVENTORY, 3) as project:
        folder = project.state
        with stage.step(script.STACK_UP):
            bring_up.up(project, modes.RECONCILE)
        with stage.step(script.STACK_APPLY):
            say(COMPOSE.format(1))
            _apply(project, folder, 1)
            stacks(project, as_json=False)
            routes(project, as_json=False)
        target = front_of(project, LocalEngine(project.root), "node-1", HOST, folder)
        with stage.step(script.STACK_ASK, host=HOST, port=target.port):
            _await_answers(target)
        with stage.step(script.STACK_UPDATE, rate=f"{RATE:g}"):
            _under_load(target, lambda: _apply(project, folder, 2))
        with stage.step(script.STACK_BACK, app=APP, rate=f"{RATE:g}"):
            _under_load(target, lambda: rollback(project, APP, 0, wait=True, as_json=False))
        with stage.step(script.STACK_STOP):
            stop_stack(project, "shop")
    say("\nOn your hosts: put a node into the group edge of the inventory, then ./inv up reconcile (docs/front.md)")


def _apply(project: Project, folder: Path, version: int) -> None:
    file = folder / "compose.yaml"
    file.write_text(COMPOSE.format(version))
    apply(project, Asked([str(file)]), dry_run=False, wait=True, as_json=False)


def _await_answers(target: Target) -> None:
    """Raises SetupError when nobody answers well after a while."""
    end = time.monotonic() + WITHIN
    while True:
        with load(target, RATE) as count:
            time.sleep(1)
        if count.requests and not count.failed:
            _show(count)
            return
        if time.monotonic() > end:
            raise SetupError(f"{HOST} is not served: {'; '.join(count.failures[:3])}", "see ./inv logs reconciler")


def _under_load(target: Target, act: Callable[[], object]) -> None:
    """Raises SetupError when a request failed."""
    with load(target, RATE) as count:
        act()
        time.sleep(1)
    _show(count)
    if count.failed:
        raise SetupError(f"{count.failed} of {count.requests} requests failed: {'; '.join(count.failures[:3])}")


def _show(count: Count) -> None:
    say(f"   {count.requests} requests, {count.failed} failed, the slowest took {count.quantile(1.0):.2f} s")
    for who, number in sorted(count.served.items()):
        say(f"   {number:5} {who.removeprefix('<p>').removesuffix('</p>')}")
