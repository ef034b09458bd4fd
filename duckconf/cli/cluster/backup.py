"""`./inv backup` and `./inv restore`: the state of a cluster into one encrypted file, and out of it on another machine.

What agents mode keeps is written as for a move to another mode: restored, it is handed over by the same way, together with
what runs by then, so that nothing is restarted and nothing that was started after the backup is stopped.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from duckconf.backup import CONTROL, KEYS, NOT_IN_IT, STATE, TLS, Manifest, may_hold, require_cluster
from duckconf.cli.cluster.agents_up import declared, keep_as_other_modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.backup_file import Backup, packed, read_file, read_passphrase, unpacked
from duckconf.cli.cluster.exported import exported
from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.cluster.past import places_told_by, told_by
from duckconf.cli.cluster.restored import MARK, MODE, control_file
from duckconf.cli.cluster.store import store_of
from duckconf.cli.demo.demo_roles import API_STATE_INSIDE
from duckconf.cli.terminal.edge import typed_path
from duckconf.cli.terminal.say import say, step
from duckconf.cli.terminal.tables import print_json
from duckconf.control_plane import ETCD
from duckconf.counts import counted
from duckconf.errors import BadInput, Conflict, Fault, NotFound, NotNow, SetupError
from duckconf.local_data import held_from_json
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.secrets import FILE_NAME as SECRETS
from duckconf.version import VERSION

TRIES = 5


def backup(project: Project, typed: str, passphrase_file: str, *, force: bool, as_json: bool) -> None:
    """Write the file `typed`. Raises DuckconfError, and then there is no file, or the one that was there before."""
    path = _path(typed)
    if not (project.state / MODE).exists():
        raise NotFound(f"cluster {project.cluster} has no state here", "bring it up first: ./inv up MODE")
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(Fault("FILE", f"should be a file in a folder that there is, got {typed}"))
    if path.exists() and not path.is_file():
        raise BadInput(Fault("FILE", f"should be a plain file, which is written whole or not at all; {typed} is none"))
    if path.exists() and not force:
        raise Conflict(f"{typed} is there already", "choose another name, or replace it with --force")
    passphrase = read_passphrase(passphrase_file, again=True)
    mode = mode_of(project)
    with step(f"reading the state of cluster {project.cluster}"):
        files = {**_steady(lambda: _collected(project, mode)), **_at_once(project, mode)}
    manifest = Manifest(project.cluster, mode, time.time(), VERSION)
    with step("encrypting it"):
        content = packed(Backup(manifest, files), passphrase)
    try:
        write_durably(path, content)
    except OSError as error:
        raise SetupError(f"{typed} cannot be written: {error.strerror}") from None
    if as_json:
        print_json({"file": str(path), "bytes": len(content), "files": sorted(files), **manifest.to_json()})
        return
    print(f"{typed} has the state of cluster {project.cluster}, mode {mode}: {counted(len(files), 'file')}, {len(content)} bytes")
    say(f"  {NOT_IN_IT}")
    say("  without its passphrase nobody can read it, and nobody can restore it")


def restore(project: Project, typed: str, passphrase_file: str, *, as_json: bool) -> None:
    """Write what the file `typed` holds into the state folder. Raises DuckconfError, and then nothing was written there."""
    _require_empty(project)
    content = read_file(_path(typed), typed)
    passphrase = read_passphrase(passphrase_file, again=False)
    with step("checking the backup"):
        manifest, files = unpacked(content, passphrase, typed)
        require_cluster(manifest, project.cluster, typed)
    state = project.state
    # What agents mode kept is here as the loop keeps it, and is handed over from there. The mode is last: without it there is
    # no cluster.
    mode = RECONCILE if manifest.mode == AGENTS else manifest.mode
    _put(state, {**files, MARK: f"{manifest.mode}\n".encode(), MODE: f"{mode}\n".encode()})
    following = f"./inv up {manifest.mode}"
    if as_json:
        print_json({"folder": str(state), "files": sorted(files), "next": following, **manifest.to_json()})
        return
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made))
    where = state.relative_to(project.root)
    print(f"{where} has the state of cluster {manifest.cluster} of {made}, mode {manifest.mode}: {counted(len(files), 'file')}")
    say(f"  {NOT_IN_IT}")
    say(f"  next: {following}, which takes over what runs and restarts nothing")


def _put(state: Path, files: Mapping[str, bytes]) -> None:
    """All of them or none, also after Ctrl-C. Raises SetupError."""
    try:
        for name, content in files.items():
            (state / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(state / name, content)
    except BaseException as error:
        for name in files:
            (state / name).unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise SetupError(f"{state} cannot be written: {error.strerror}", "nothing was restored; try again") from None


def _path(typed: str) -> Path:
    if not typed:
        raise BadInput(Fault("FILE", "is missing: ./inv backup FILE, ./inv restore FILE"))
    return Path(typed_path(typed)).expanduser()


def _require_empty(project: Project) -> None:
    there = [path.relative_to(project.state).as_posix() for path in project.state.rglob("*") if path.is_file()]
    if held := sorted(name for name in there if name == MODE or may_hold(name)):
        where = project.state.relative_to(project.root)
        raise Conflict(
            f"{where} holds a cluster already ({', '.join(held[:3])}{', …' if len(held) > 3 else ''})",
            f"to put the backup in its place, move it away: mv {where} {where}.before",
        )


def _steady(collect: Callable[[], Mapping[str, bytes]]) -> Mapping[str, bytes]:
    """What was the same when it was read twice: no write fell in between its files. Raises NotNow."""
    before = collect()
    for _ in range(TRIES):
        if (after := collect()) == before:
            return after
        before = after
    raise NotNow("the state changes all the time", "try again when no update is under way")


def _collected(project: Project, mode: str) -> dict[str, bytes]:
    hosts = [f"{kind}/{path.name}" for kind in ("tokens", "host-keys") for path in sorted((project.state / kind).glob("*"))]
    names = [*KEYS, *TLS, *(name for name in hosts if may_hold(name)), *(STATE if mode != AGENTS else ())]
    paths = {name: project.state / name for name in names}
    here = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return here | _of_agents(project) if mode == AGENTS and store_of(project) != ETCD else here


def _at_once(project: Project, mode: str) -> dict[str, bytes]:
    """What a control plane keeps in etcd is told as it was in one moment: other writes may go on."""
    if mode != AGENTS or store_of(project) != ETCD:
        return {}
    found = exported(project)
    if unknown := sorted(name for name in found if not may_hold(name)):
        raise SetupError(f"the control plane told of {', '.join(unknown)}, which this Duckconf does not know", "use a newer one")
    return {name: _timeless(name, text.encode()) for name, text in found.items()}


def _of_agents(project: Project) -> dict[str, bytes]:
    """What the control plane keeps in files. Raises DuckconfError when it does not answer: its state cannot be guessed."""
    api = api_client(project)
    apps = declared(api)
    held = held_from_json(api.call("GET", "/data", deadline=10.0)["data"])
    revisions, places = told_by(project, apps), places_told_by(project)
    if places is None or len(revisions) != len(apps):
        raise NotNow("the api-server stopped answering", "try again")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep_as_other_modes(folder, apps, held, revisions, places)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if may_hold(path.name)}
    return files | _of_control_host(project)


def _of_control_host(project: Project) -> dict[str, bytes]:
    wanted = {SECRETS: f"{API_STATE_INSIDE}/{SECRETS}", **{name: f"{API_STATE_INSIDE}/{Path(name).name}" for name in CONTROL}}
    with open_cluster(project) as cluster:
        runner = cluster.fleet.admin(cluster.inventory.control_plane[0])
        found = {name: control_file(runner, path) for name, path in wanted.items()}
    return {name: _timeless(name, content) for name, content in found.items() if content}


def _timeless(name: str, content: bytes) -> bytes:
    """Without the heartbeats, which are of no use later and differ each time."""
    if not name.endswith("nodes.json"):
        return content
    told: dict[str, Any] = json.loads(content)
    kept = ("cordoned", "draining")
    nodes = {node: {key: row[key] for key in kept if key in row} for node, row in told["nodes"].items()}
    return json.dumps({"epoch": told["epoch"], "nodes": nodes}, indent=1).encode() + b"\n"
