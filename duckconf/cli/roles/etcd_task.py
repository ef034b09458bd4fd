"""`./inv members`: the members of etcd and what one more failure costs; a snapshot fetched, and all members made from one."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from duckconf.cli.cluster.etcd import PATIENCE, RESTORE, Etcd, refusal
from duckconf.cli.cluster.etcd_rows import COLUMNS, WELL, member_rows, outlook_of
from duckconf.cli.cluster.store import is_in_etcd
from duckconf.cli.roles.etcd_members import ROLE, STEP, member_variables
from duckconf.cli.roles.playbook import Playbook
from duckconf.cli.terminal.edge import SOME_UNREACHABLE
from duckconf.cli.terminal.say import say, step
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.command import Command
from duckconf.errors import BadInput, DuckconfError, Fault, NotFound, SetupError
from duckconf.inventory import Inventory
from duckconf.members import Refused, Seen, may_fail, next_step
from duckconf.members_told import CTL
from duckconf.reach.inventory.project import Project
from duckconf.reach.inventory.topology import member_addresses
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts

# On the host, while it is fetched.
FETCHED = "/var/lib/duckconf-etcd/fetched.db"


def show(project: Project, *, as_json: bool) -> int:
    """Exit code 4 when a member does not answer or follows nobody."""
    with _opened(project) as (etcd, _):
        told = etcd.look()
    rows, words = member_rows(etcd.wanted, told), outlook_of(etcd.wanted, told, has_state=etcd.has_state)
    spare = may_fail(told.seen.members) if told.seen.members else -1
    if as_json:
        print_json({"members": rows, "revision": told.revision, "may_fail": spare, "outlook": words})
    else:
        print_table(rows, COLUMNS, "no members")
        print(f"\n{words}")
    return SOME_UNREACHABLE if any(row["state"] != WELL for row in rows) else 0


def save(project: Project, path: Path) -> None:
    """A snapshot of the member that is well, whole or not at all, for this user's eyes alone."""
    if path.exists():
        raise BadInput(Fault(str(path), "is there already; name a file that is not"))
    with _opened(project) as (etcd, fleet):
        told = etcd.look()
        host = next((one.name for one in told.seen.members if one.well and one.name in etcd.wanted), "")
        if not host:
            raise SetupError("no member of etcd is well", "snapshots of the past are in /var/lib/duckconf-etcd/snapshots of each")
        with step(f"taking a snapshot on {host}"):
            take = f"{CTL} snapshot save {FETCHED} && {CTL} snapshot status {FETCHED} && sha256sum {FETCHED}"
            done = fleet.admin(host).run(Command(("sh", "-c", take), deadline=300.0))
            if not done.ok:
                raise SetupError(f"{host}: the snapshot failed: {' '.join(done.stderr.split())[-200:]}", "see `./inv members`")
            _fetch(fleet, host, path, done.stdout.split()[-2])
    say(f"{path} has the state at revision {told.revision} of {host}; whoever reads it reads all state")


def _fetch(fleet: Fleet, host: str, path: Path, digest: str) -> None:
    part = path.with_name(f".{path.name}.part")
    found = hashlib.sha256()
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:

            def keep(data: bytes) -> None:
                file.write(data)
                found.update(data)

            fleet.admin(host).follow(Command(("cat", FETCHED)), keep)
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != digest:
            raise DuckconfError(f"{host}: the snapshot did not arrive whole", "type the same command again")
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
        fleet.admin(host).run(Command(("rm", "--force", FETCHED)))


def restore(project: Project, path: Path) -> None:
    """All hosts of the group begin anew from a snapshot. Refused while a majority is there."""
    if not path.is_file():
        raise BadInput(Fault(str(path), "should be a snapshot, and there is no such file"))
    with _opened(project) as (etcd, _):
        told = etcd.look()
    if told.seen.members and may_fail(told.seen.members) >= 0:
        raise SetupError("the members of etcd have a majority, and their state is newer", "for a lost member: ./inv provision")
    todo = next_step(etcd.wanted, Seen(bare=set(etcd.wanted) - set(told.seen.away), away=told.seen.away))
    if isinstance(todo, Refused):
        raise refusal(todo, told)
    inventory = project.inventory(secrets=True)
    shared = {
        **member_variables(project, inventory),
        "duckconf_cluster": project.cluster,
        "duckconf_etcd_snapshot_source": str(path.resolve()),
        # Whoever comes back from the old cluster is a stranger to the new one.
        "duckconf_etcd_token": f"{project.cluster}-{int(time.time())}",
        STEP: RESTORE,
    }
    outcomes = Playbook(project, [inventory.hosts[name] for name in etcd.wanted], shared, {}, (ROLE,)).run()
    for outcome in outcomes.values():
        if outcome.failure is not None:
            raise outcome.failure
    say("restored; what was there before is in /var/lib/duckconf-etcd/aside of each host")


@contextmanager
def _opened(project: Project) -> Iterator[tuple[Etcd, Fleet]]:
    inventory = project.inventory(secrets=True)
    _require(inventory)
    hosts = [inventory.hosts[name] for name in inventory.control_plane]
    fleet = Fleet(hosts, KnownHosts(project.pins, OWN_PINS), project.login_key, max(PATIENCE, project.settings.node_deadline))

    try:
        yield Etcd(member_addresses(inventory), fleet, is_in_etcd(project)), fleet
    finally:
        fleet.close()


def _require(inventory: Inventory) -> None:
    if not inventory.etcd:
        remedy = "put three hosts into the group control_plane, and type ./inv up agents"
        raise NotFound("this cluster has no etcd", remedy)
