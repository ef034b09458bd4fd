"""The state of agents mode from the files of one server into etcd, and back, while no server runs: `python -m api.move --config
FILE --into-etcd FOLDER`, or `--into-files FOLDER`.

Instances stay where they are placed, and nothing is started or stopped by it. A move that was interrupted goes on when it is
asked for again; until then no server serves what is half there.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Optional

from api.mirrored import MOVE, UNDER_WAY, following, is_under_way, mirror_in
from api.stores.kept import NODES, STATE, Kept, in_files, together
from duckconf.counts import counted
from duckconf.desired import PLACED_COLUMNS, changed, empty_document, marked
from duckconf.errors import Conflict, DuckconfError, SetupError
from duckconf.model import App
from duckconf.naming import declared_number
from duckconf.reach.api.control_config import REMEDY, ControlConfig, read_control_config
from duckconf.reach.state import logs
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.files import write_durably

MOVED = ".moved"
# Apps of one transaction.
BATCH = 500

log = logging.getLogger("move")


def into_etcd(config: ControlConfig, mirror: Mirror, folder: Path) -> int:
    """How many apps there are now; the files are then called `.moved`. Raises Conflict where etcd has a state of its own."""
    source, target = in_files(folder, log.warning), together(mirror, str)
    store = target.store(lambda *_: None)
    note = mirror.part(MOVE)
    if store.listing().apps and not is_under_way(mirror):
        raise Conflict("etcd has a state already", "what lies in files is older, or of another cluster: move it away")
    note.change(lambda _: {UNDER_WAY: json.dumps(time.strftime("%Y-%m-%d %H:%M:%S"))})
    _copy(config, source, target)
    apps = source.store(lambda *_: None).listing().apps
    for batch in _batches(apps):
        store.submit(lambda _, batch=batch: batch)  # type: ignore[misc]
    note.change(lambda _: {UNDER_WAY: None})
    for name in (STATE, NODES):
        (folder / name).replace(folder / f"{name}{MOVED}")
    return len(apps)


def into_files(config: ControlConfig, mirror: Mirror, folder: Path) -> int:
    """How many apps there are now. Raises Conflict where the folder has a state of its own."""
    if (folder / STATE).exists():
        raise Conflict(f"{folder} has a state already", f"what lies in etcd is newer: move {folder / STATE} away")
    source = together(mirror, str)
    apps = source.store(lambda *_: None).listing().apps
    generation = max((number for app in apps.values() for number in app.generation), default=0)
    document = changed(empty_document(PLACED_COLUMNS), dict(apps))
    number = max((declared_number(name) + 1 for name in apps), default=1)
    made = folder / MOVE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    _copy(config, source, in_files(made, log.warning))
    (made / STATE).unlink()
    for file in made.iterdir():
        file.replace(folder / file.name)
    # The last, because a server takes a folder without it for one that has lost it. Generations go on above those given.
    write_durably(folder / STATE, marked(document, generation + 1, number).text().encode())
    made.rmdir()
    return len(apps)


def _copy(config: ControlConfig, source: Kept, target: Kept) -> None:
    """All but the apps, which come after their past."""
    target.revisions.replace(source.revisions.revisions, source.revisions.since)
    target.data.keep(source.data.held)
    for name in config.nodes:
        closed = source.nodes.of(name)
        target.nodes.change(name, lambda _, closed=closed: closed)  # type: ignore[misc]
    for name, secret in source.secrets.current().items():
        target.secrets.put(name, secret.value, secret.since, secret.salt)
    while target.rebalances.asked() < source.rebalances.asked():
        target.rebalances.ask()
    target.rebalances.keep(source.rebalances.progress)


def _batches(apps: Mapping[str, App]) -> Iterator[dict[str, Optional[App]]]:
    left: Iterable[tuple[str, App]] = iter(apps.items())
    while batch := dict[str, Optional[App]](islice(left, BATCH)):
        yield batch


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.move", description="Move the state of agents mode to another store.")
    parser.add_argument("--config", type=Path, required=True, help="the JSON file that the role writes, with etcd in it")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--into-etcd", type=Path, metavar="FOLDER", help="what lies in the files of this folder")
    way.add_argument("--into-files", type=Path, metavar="FOLDER", help="what etcd has, into files of this folder")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=False)
    try:
        config = read_control_config(options.config)
        if config.etcd is None:
            raise SetupError(f"{options.config} has no etcd", REMEDY)
        move, folder = (into_etcd, options.into_etcd) if options.into_etcd else (into_files, options.into_files)
        with following(mirror_in(config.etcd, config)) as mirror:
            moved = move(config, mirror, folder)
    except (DuckconfError, OSError) as error:
        log.error("%s", error)
        return 1
    print(f"{counted(moved, 'app')} moved")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
