"""Where the state of the running control plane is kept, as `up` has noted it: it changes by `up agents` alone."""

from __future__ import annotations

from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.control_plane import ETCD, FILES, STORES
from duckconf.errors import SetupError
from duckconf.inventory import Inventory
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import write_durably

NAME = "store"


def note_store(project: Project, store: str) -> None:
    write_durably(project.state / NAME, f"{store}\n".encode())


def store_move(project: Project, inventory: Inventory) -> str:
    """What the role does where the inventory wants another store than a control plane that runs has; "" where it is the same.
    Raises SetupError for a cut file."""
    return move_from(store_of(project), inventory) if mode_of(project) == AGENTS else ""


def move_from(store: str, inventory: Inventory) -> str:
    """The same, for a control plane that has its state in `store`."""
    return f"into-{inventory.store}" if store != inventory.store else ""


def is_in_etcd(project: Project) -> bool:
    """Whether a running control plane keeps the state there: members that are all empty have lost it. Raises SetupError for a
    cut file."""
    return mode_of(project) == AGENTS and store_of(project) == ETCD


def require_same_store(project: Project, inventory: Inventory) -> None:
    """Agents must never see the empty state of a store that has just begun. Raises SetupError."""
    if store_move(project, inventory):
        reason = f"the state is kept in {store_of(project)}, and by the inventory it should be in {inventory.store}"
        raise SetupError(reason, "./inv up agents moves it, and no app is restarted")


def store_of(project: Project) -> str:
    """Where the control plane that runs has its state. Raises SetupError for a cut file."""
    path = project.state / NAME
    try:
        store = path.read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return FILES
    if store not in STORES:
        raise SetupError(f"{path} should hold {' or '.join(STORES)}, and holds {store!r}", "write the right one into it")
    return store
