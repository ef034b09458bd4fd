"""The mirror of what the servers of a cluster keep in etcd."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from duckconf.errors import SetupError
from duckconf.reach.api.control_config import ControlConfig, EtcdConfig
from duckconf.reach.api.etcd import Gateway
from duckconf.reach.state.entries import Mirror, Reading
from duckconf.reach.state.etcd_table import EtcdTable
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.table import Changes, News, Table

# The state of a cluster has an id, which each server knows once it has served it.
CLUSTER, FOUNDED, KNOWN = "cluster", "founded", "etcd.id"
ID_BYTES = 8
MOVE = "move"
UNDER_WAY, IN_FILES = "under-way", "in-files"
# For the other servers to end once the state moves away from them.
END_SECONDS = 2.0


def mirror_in(etcd: EtcdConfig, config: ControlConfig) -> Mirror:
    """Raises NotNow."""
    gateway = Gateway(etcd.endpoints, etcd.ca, etcd.certificate, etcd.key)

    def table(part: str) -> Table:
        return EtcdTable(gateway, config.cluster, f"{config.server}/{part or 'all'}")

    return Mirror(table)


def confirm(mirror: Mirror) -> None:
    """To read a large state takes a while, after which it must be known anew that the mirror is well. Raises NotNow."""
    mirror.part("start", probing=True).catch_up()


def require_same(mirror: Mirror, folder: Path) -> None:
    """That etcd has the state that this server knew, or a later or restored one of it, and not none at all: agents would remove
    what should run. Raises SetupError, NotNow, OSError."""
    entries, path = mirror.part(CLUSTER), folder / KNOWN
    known = path.read_text("utf-8").strip() if path.exists() else ""

    def found(reading: Reading) -> Changes:
        return {FOUNDED: json.dumps(secrets.token_hex(ID_BYTES))} if reading.get(FOUNDED) is None and not known else {}

    entries.change(found)
    there = json.loads(entries.texts().get(FOUNDED, '""'))
    if known and there != known:
        what = "another state than" if there else "no state, and not"
        remedy = f"restore a snapshot: ./inv members --restore FILE; where it is meant to begin anew, remove {path}"
        raise SetupError(f"etcd has {what} the one that this server knew", remedy)
    if not known:
        write_durably(path, f"{there}\n".encode())


def require_whole(mirror: Mirror) -> None:
    """Raises SetupError for a state that was moved into etcd and is not all there yet, or that was moved out of it."""
    if is_under_way(mirror):
        raise SetupError("the state is being moved into etcd, or that was interrupted", "move it once more: ./inv up agents")
    if is_in_files(mirror):
        remedy = "switch this one off; where it should serve again, put it into the group control_plane and type ./inv up agents"
        raise SetupError("the state was moved out of etcd, into files of another host", remedy)


def is_under_way(mirror: Mirror) -> bool:
    return UNDER_WAY in mirror.part(MOVE).texts()


def is_in_files(mirror: Mirror) -> bool:
    return IN_FILES in mirror.part(MOVE).texts()


def follow_moves(mirror: Mirror, end: Callable[[], object]) -> None:
    """`end` is called when the state begins to move from one store to another: a server that went on would take writes that
    are lost, or tell agents of an empty state. To be called before the mirror runs."""

    def see(news: News) -> None:
        if any(news.items.values()):
            end()

    mirror.part(MOVE).follow(see)


@contextmanager
def following(mirror: Mirror) -> Iterator[Mirror]:
    """It follows its table until the end of the block."""
    thread = threading.Thread(target=mirror.run, name="mirror", daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.close()
