"""What the first `up` after a restore does beside: it stops agents that would go on against an empty state, keeps a control
plane that outlived the backup, and has a new one count on from where the lost one was."""

from __future__ import annotations

from pathlib import Path

from duckconf.backup import CONTROL, continued
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.demo.demo_roles import API_STATE_INSIDE
from duckconf.cli.look.control import CONTROL_UNITS
from duckconf.cli.terminal.say import say, step
from duckconf.command import Command, Runner
from duckconf.desired import PLACED_COLUMNS, read_document
from duckconf.errors import DuckconfError
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.secrets import FILE_NAME as SECRETS

MODE = "mode"
# In the state folder from `restore` until the first `up`: the mode in which the backup was made.
MARK = "restored"
OWNER = "duckconf-control"


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


def has_survived(project: Project, host: str) -> bool:
    """Whether the control plane has its state still: what it knows is newer than any backup.

    One without apps is new, perhaps from a run of `up` that was interrupted: agents must never obey that.
    """
    with open_cluster(project) as cluster:
        state = control_file(cluster.fleet.admin(host), f"{API_STATE_INSIDE}/state.csv")
    if not state:
        return False
    document = read_document(state.decode(), layout=PLACED_COLUMNS)
    return bool(document.apps() or document.faults)


def leave_to_it(project: Project) -> None:
    """What the backup had of the apps is not used: the control plane has it."""
    say("  the control plane has its state still, which is newer than the backup: it goes on with that")
    for name in (HISTORY, SECRETS, FILE_NAME):
        (project.state / name).unlink(missing_ok=True)


def count_on(project: Project, host: str) -> None:
    """Give the new control plane the cordons of the lost one, and revisions that nobody has seen yet."""
    state, nodes = (project.state / name for name in CONTROL)
    if not state.exists():
        return
    with step("continuing the revisions of the lost control plane"), open_cluster(project) as cluster:
        runner = cluster.fleet.admin(host)
        units = tuple(CONTROL_UNITS.values())
        _must(runner, Command(("systemctl", "stop", *units), deadline=60.0))
        _install(runner, state, continued(state.read_text("utf-8")).encode())
        if nodes.exists():
            _install(runner, nodes, nodes.read_bytes())
        _must(runner, Command(("systemctl", "start", *units), deadline=90.0))


def _install(runner: Runner, path: Path, content: bytes) -> None:
    argv = ("install", "-o", OWNER, "-g", OWNER, "-m", "600", "/dev/stdin", f"{API_STATE_INSIDE}/{path.name}")
    _must(runner, Command(argv, stdin=content, deadline=30.0))


def _must(runner: Runner, command: Command) -> None:
    ended = runner.run(command)
    if not ended.ok:
        raise DuckconfError(f"{command.argv[0]} on the control plane failed: {' '.join(ended.stderr.split())}")
