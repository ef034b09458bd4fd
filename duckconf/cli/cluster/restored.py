"""What the first `up` after a restore does beside: it stops agents that would go on against an empty state, keeps a control
plane that outlived the backup, and has a new one count on from where the lost one was."""

from __future__ import annotations

import time
from collections.abc import Mapping

from duckconf.backup import CONTROL, UNREAD, continued, surviving
from duckconf.cli.cluster.etcd import COME_UP, LOOK_EVERY
from duckconf.cli.cluster.exported import OWNER, move_command
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.demo.demo_roles import API_STATE_INSIDE
from duckconf.cli.look.control import CONTROL_UNITS
from duckconf.cli.terminal.say import say, step
from duckconf.command import Command, Runner
from duckconf.control_plane import ETCD, FILES
from duckconf.desired import PLACED_COLUMNS, read_document
from duckconf.errors import DuckconfError
from duckconf.members_told import CTL
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.secrets import FILE_NAME as SECRETS

MODE = "mode"
# In the state folder from `restore` until the first `up`: the mode in which the backup was made.
MARK = "restored"
# Prints the first keys of a prefix; that a member has data, where it cannot read any.
APPS_IN_ETCD = f"""\
if test -x {CTL} && ! {CTL} --command-timeout=5s get --prefix "$1" --keys-only --limit=5 2>/dev/null; then
  test ! -e /var/lib/duckconf-etcd/data/member || echo {UNREAD}
fi
"""
# On a host that is new there are no units.
FORGET = f"""\
test ! -e "/etc/systemd/system/$1.service" || systemctl stop "$@" && rm -f {API_STATE_INSIDE}/etcd.id
"""


def mode_restored(project: Project) -> str:
    """The mode of the backup that no `up` has followed yet; "" when there is none."""
    path = project.state / MARK
    return path.read_text("utf-8").strip() if path.exists() else ""


def done(project: Project) -> None:
    (project.state / MARK).unlink(missing_ok=True)
    for name in CONTROL:
        (project.state / name).unlink(missing_ok=True)


def control_file(runner: Runner, path: str) -> bytes:
    """Empty when there is none. Raises DuckconfError."""
    read = runner.run(Command(("sh", "-c", 'test ! -e "$1" || cat "$1"', "sh", path), deadline=30.0))
    if not read.ok:
        raise DuckconfError(f"{path} on the control plane cannot be read: {' '.join(read.stderr.split())}")
    return read.stdout.encode()


def survives_in(project: Project) -> str:
    """The store in which the control plane has its state still: what it knows is newer than any backup. "" where it has none.

    One without apps is new, perhaps from a run of `up` that was interrupted: agents must never obey that. Raises SetupError or
    NodeFailure where it cannot be known.
    """
    with open_cluster(project) as cluster:
        end = time.monotonic() + COME_UP
        while True:
            found = ask_all(cluster.inventory.control_plane, lambda host: _kept_on(cluster, host))
            told = {host: store for host, store in found.items() if isinstance(store, str)}
            # Members that boot are waited for.
            if UNREAD not in told.values() or {FILES, ETCD} & {*told.values()} or time.monotonic() > end:
                break
            time.sleep(LOOK_EVERY)
    if store := surviving(told):
        return store
    for failure in found.values():
        if isinstance(failure, DuckconfError):
            raise failure
    return ""


def _kept_on(cluster: Cluster, host: str) -> str:
    """FILES, ETCD, UNREAD or "", as `surviving` has it."""
    runner = cluster.fleet.admin(host)
    if state := control_file(runner, f"{API_STATE_INSIDE}/state.csv"):
        document = read_document(state.decode(), layout=PLACED_COLUMNS)
        if document.apps() or document.faults:
            return FILES
    prefix = f"/duckconf/{cluster.project.cluster}/apps/"
    answer = runner.run(Command(("sh", "-c", APPS_IN_ETCD, "sh", prefix), deadline=30.0)).stdout.split()
    if UNREAD in answer:
        return UNREAD
    # The store's own notes begin with a dot.
    return ETCD if any(key.startswith(prefix) and not key.startswith(f"{prefix}.") for key in answer) else ""


def leave_to_it(project: Project) -> None:
    """What the backup had of the apps is not used: the control plane has it."""
    say("  the control plane has its state still, which is newer than the backup: it goes on with that")
    for name in (HISTORY, SECRETS, FILE_NAME):
        (project.state / name).unlink(missing_ok=True)


def forget_lost_state(project: Project) -> None:
    """Have the servers take the state that begins now for theirs: the one that they knew is lost, and whoever serves it from
    memory ends."""
    with open_cluster(project) as cluster:
        _on_all(cluster, Command(("sh", "-c", FORGET, "sh", *CONTROL_UNITS.values()), deadline=90.0))


def count_on(project: Project) -> None:
    """Give the new control plane the cordons of the lost one, and revisions that nobody has seen yet."""
    state, nodes = (project.state / name for name in CONTROL)
    if not state.exists():
        return
    files = {state.name: continued(state.read_text("utf-8"), time.time()).encode()}
    files |= {nodes.name: nodes.read_bytes()} if nodes.exists() else {}
    units = tuple(CONTROL_UNITS.values())
    with step("continuing the revisions of the lost control plane"), open_cluster(project) as cluster:
        runner = cluster.fleet.admin(cluster.inventory.control_plane[0])
        _on_all(cluster, Command(("systemctl", "stop", *units), deadline=60.0))
        if cluster.inventory.etcd:
            _move_into_etcd(runner, files)
        else:
            _install(runner, API_STATE_INSIDE, files)
        _on_all(cluster, Command(("systemctl", "start", *units), deadline=90.0))


def _move_into_etcd(runner: Runner, files: Mapping[str, bytes]) -> None:
    """As for a move of a control plane that has its state in files."""
    folder = f"{API_STATE_INSIDE}/restored"
    _must(runner, Command(("install", "-d", "-o", OWNER, "-g", OWNER, "-m", "700", folder), deadline=30.0))
    _install(runner, folder, files)
    _must(runner, move_command(f"--into-etcd={folder}"))
    _must(runner, Command(("rm", "-r", folder), deadline=30.0))


def _install(runner: Runner, folder: str, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        argv = ("install", "-o", OWNER, "-g", OWNER, "-m", "600", "/dev/stdin", f"{folder}/{name}")
        _must(runner, Command(argv, stdin=content, deadline=30.0))


def _on_all(cluster: Cluster, command: Command) -> None:
    """On the hosts of the control plane, at the same time. Raises DuckconfError when one of them fails, and all have ended."""
    found = ask_all(cluster.inventory.control_plane, lambda host: _must(cluster.fleet.admin(host), command))
    for failure in found.values():
        if isinstance(failure, DuckconfError):
            raise failure


def _must(runner: Runner, command: Command) -> None:
    ended = runner.run(command)
    if not ended.ok:
        raise DuckconfError(f"{command.argv[0]} on the control plane failed: {' '.join(ended.stderr.split())[-300:]}")
