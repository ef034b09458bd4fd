"""One cluster in agents mode for all files of this folder, which one worker runs one after the other: three nodes and a control
plane that the roles have set up. It takes half a minute to make."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from duckconf.cli.cluster import modes
from duckconf.cli.cluster.api import api_client
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.e2e.agents.fleet import APPS, apps, lives, nodes
from tests.e2e.conftest import SOON_READY, Live, brought_up, free_ports, write_inventory
from tests.waiting import until


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A cluster of its own with three nodes and a control plane, in agents mode."""
    cluster = f"g{os.getpid()}"
    control, *ports, api_port = free_ports(5)
    inventory = write_inventory(tmp_path_factory.mktemp("inventory"), cluster, ports, control=control)
    with brought_up(inventory, cluster, api_port, modes.AGENTS) as running:
        yield running


@pytest.fixture
def api(fleet: Live) -> ApiClient:
    return api_client(fleet.project)


@pytest.fixture(scope="package")
def stranger(fleet: Live) -> Iterator[str]:
    """A container that is not ours and nearly looks so."""
    name = f"stranger-{fleet.project.cluster}"
    fleet.engine.must("run", "-d", "--name", name, "--label=node=node-1", "--label=duckconf.app=a", WEB_IMAGE)
    yield name
    fleet.engine.run("rm", "-f", "-t", "0", name)


@pytest.fixture(scope="package")
def untouched() -> dict[str, tuple[str, int]]:
    """Container and start of each app, where the test before left all three as it had found them."""
    return {}


@pytest.fixture
def running(fleet: Live, api: ApiClient, stranger: str, untouched: dict[str, tuple[str, int]]) -> Iterator[Live]:
    """Three apps that run, one on each node, with a stranger beside; afterwards they run too, once each. They are new ones unless
    nothing has happened to them."""
    until("all nodes are ready", lambda: {node["status"] for node in nodes(api)} == {"ready"}, 40)
    if not untouched:
        for name in APPS:
            api.call("PUT", f"/app/{name}", {"image": WEB_IMAGE, **SOON_READY})
        until("they run, once each", lambda: fleet.once_each(APPS), 40)
    before = lives(fleet)
    untouched.clear()
    try:
        yield fleet
        until("all run once each", lambda: fleet.once_each(APPS), 60)
        until("the API sees it", lambda: {app["status"] for app in apps(api)} == {"running"}, 40)
        assert {app["name"]: app["node"] for app in apps(api)} == fleet.nodes_of()
        assert fleet.state_of(stranger) == "running"
        untouched.update(before if lives(fleet) == before else {})
    finally:
        for app in apps(api) if not untouched else ():
            api.call("DELETE", f"/app/{app['name']}")
        until("nothing else is left", lambda: lives(fleet) == untouched, 40)
