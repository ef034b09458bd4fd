"""One cluster with docker for all files of this folder, which one worker runs one after the other; the last leaves it in another
mode."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from duckconf.cli.cluster import modes
from tests.e2e.conftest import Live, brought_up, free_ports, write_inventory
from tests.e2e.docker.daemon import docker_daemon


@pytest.fixture(scope="package")
def docker_live(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A cluster whose nodes borrow a docker engine, in push mode; its hosts are podman's containers as everywhere."""
    cluster = f"d{os.getpid()}"
    *ports, control, api_port = free_ports(5)
    inventory = write_inventory(tmp_path_factory.mktemp("docker"), cluster, ports, "duckconf_engine=docker", control)
    with docker_daemon() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        with brought_up(inventory, cluster, api_port, modes.PUSH) as running:
            yield running
