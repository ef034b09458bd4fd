"""The state of agents mode from the files of one server into etcd, and back, while no server runs: `python -m api.move --config
FILE --into-etcd FOLDER`, or `--into-files FOLDER`. `--export` prints what etcd has for a backup, while servers go on.

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

from api.exported import copy_books, exported, write_files
from api.mirrored import CLUSTER, END_SECONDS, IN_FILES, MOVE, UNDER_WAY, confirm, following, is_in_files, is_under_way, mirror_in
from api.stores import shared
from api.stores.kept import NODES, STATE, in_files, together
from duckconf.counts import counted
from duckconf.errors import Conflict, DuckconfError, SetupError
from duckconf.model import App
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
    if store.listing().apps and not is_under_way(mirror) and not is_in_files(mirror):
        raise Conflict("etcd has a state already", "what lies in files is older, or of another cluster: move it away")
    note.change(lambda _: {UNDER_WAY: _now()})
    if is_in_files(mirror):
        _clear(mirror)
        note.change(lambda _: {IN_FILES: None})
        source, target = in_files(folder, log.warning), together(mirror, str)
        store = target.store(lambda *_: None)
    copy_books(config, source, target)
    before = source.store(lambda *_: None)
    apps = before.listing().apps
    # Before them, so that no server ever gives out what the files have given already.
    shared.count_on(mirror.part(shared.PART), before.counts)
    for batch in _batches(apps):
        store.submit(lambda _, batch=batch: batch)  # type: ignore[misc]
    note.change(lambda _: {UNDER_WAY: None})
    # There is no nodes.json before a node is heard or cordoned.
    for path in (folder / STATE, folder / NODES):
        if path.exists():
            path.replace(path.with_name(f"{path.name}{MOVED}"))
    return len(apps)


def into_files(config: ControlConfig, mirror: Mirror, folder: Path) -> int:
    """How many apps there are now. Raises Conflict where the folder has a state of its own."""
    if (folder / STATE).exists():
        raise Conflict(f"{folder} has a state already", f"what lies in etcd is newer: move {folder / STATE} away")
    # The servers of hosts that are no longer in the inventory end too: what they took from now on would be lost.
    mirror.part(MOVE).change(lambda _: {IN_FILES: _now()})
    time.sleep(END_SECONDS)
    confirm(mirror)
    made = folder / MOVE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    apps = write_files(config, together(mirror, str), made)
    state = (made / STATE).read_bytes()
    (made / STATE).unlink()
    for file in made.iterdir():
        file.replace(folder / file.name)
    # The last, because a server takes a folder without it for one that has lost it.
    write_durably(folder / STATE, state)
    made.rmdir()
    return len(apps)


def _now() -> str:
    return json.dumps(time.strftime("%Y-%m-%d %H:%M:%S"))


def _clear(mirror: Mirror) -> None:
    """What etcd had before its state was moved out of it: all but which state it is, and how it moves."""
    for name in set(mirror.parts) - {CLUSTER, MOVE}:
        part = mirror.part(name)
        while found := list(islice(part.texts(), BATCH)):
            part.change(lambda _, found=found: dict.fromkeys(found))  # type: ignore[misc]


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
    way.add_argument("--export", action="store_true", help="print what etcd has, as the files of a backup in one JSON object")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=False)
    try:
        config = read_control_config(options.config)
        if config.etcd is None:
            raise SetupError(f"{options.config} has no etcd", REMEDY)
        if options.export:
            # Not followed: what is read of it is all of one revision.
            json.dump(exported(config, mirror_in(config.etcd, config)), sys.stdout)
            return 0
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
