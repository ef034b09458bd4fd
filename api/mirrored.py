"""The mirror of what the servers of a cluster keep in etcd."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from duckconf.errors import SetupError
from duckconf.reach.api.control_config import ControlConfig, EtcdConfig
from duckconf.reach.api.etcd import Gateway
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.etcd_table import EtcdTable
from duckconf.reach.state.table import Table

MOVE = "move"
UNDER_WAY = "under-way"


def mirror_in(etcd: EtcdConfig, config: ControlConfig) -> Mirror:
    """Raises NotNow."""
    gateway = Gateway(etcd.endpoints, etcd.ca, etcd.certificate, etcd.key)

    def table(part: str) -> Table:
        return EtcdTable(gateway, config.cluster, f"{config.server}/{part or 'all'}")

    return Mirror(table)


def confirm(mirror: Mirror) -> None:
    """To read a large state takes a while, after which it must be known anew that the mirror is well. Raises NotNow."""
    mirror.part("start", probing=True).catch_up()


def require_whole(mirror: Mirror) -> None:
    """Raises SetupError for a state that was moved into etcd and is not all there yet."""
    if is_under_way(mirror):
        raise SetupError("the state is being moved into etcd, or that was interrupted", "move it once more: ./inv up agents")


def is_under_way(mirror: Mirror) -> bool:
    return UNDER_WAY in mirror.part(MOVE).texts()


@contextmanager
def following(mirror: Mirror) -> Iterator[Mirror]:
    """It follows its table until the end of the block."""
    thread = threading.Thread(target=mirror.run, name="mirror", daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.close()
