"""What the API of agents mode keeps, and where: in files of its own, or together with other servers in a mirror of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from api.stores import kept_nodes, learned, shared
from api.stores.changes import See
from api.stores.desired import DesiredStore
from api.stores.kept_nodes import KeptNodes, NodesFile, SharedNodes
from api.stores.learned import Learned, OwnLearned, SharedLearned
from api.stores.shared import SharedStore
from api.stores.store import Store
from duckconf.desired import PLACED_COLUMNS, empty_document, marked
from duckconf.errors import SetupError
from duckconf.events import Event
from duckconf.reach.state import data as data_file
from duckconf.reach.state import leases as lease_file
from duckconf.reach.state import revisions as history_file
from duckconf.reach.state import secrets as secret_file
from duckconf.reach.state import shared_rebalances, shared_secrets
from duckconf.reach.state.data import Data, DataBook
from duckconf.reach.state.entries import Entries, Mirror, OwnEntries
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.leases import Leases
from duckconf.reach.state.rebalances import RebalanceBook, RebalanceRequests
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import SecretFile, Secrets
from duckconf.reach.state.shared_rebalances import SharedRebalances
from duckconf.reach.state.shared_secrets import SharedSecrets
from duckconf.reach.state.table import News

STATE = "state.csv"
NODES = "nodes.json"
DATA = "data"
HISTORY = "history"

Changed = Callable[[Iterable[str]], None]
"""Given the names of entries that have changed."""


def _nothing(_: Changed) -> None:
    """Nobody else changes what one server keeps alone."""


@dataclass(frozen=True)
class Kept:
    """`store` opens the apps for one who is to see their changes. The `follow` functions have the names told of what has changed,
    also when another server did it."""

    nodes: KeptNodes
    secrets: Secrets
    revisions: RevisionBook
    data: Data
    rebalances: RebalanceRequests
    leases: Leases
    store: Callable[[See], Store]
    learned: Learned = field(default_factory=OwnLearned)
    mirror: Optional[Mirror] = None
    follow_secrets: Callable[[Changed], None] = field(default=_nothing)
    follow_revisions: Callable[[Changed], None] = field(default=_nothing)
    follow_rebalances: Callable[[Changed], None] = field(default=_nothing)


def in_files(folder: Path, tell: Callable[[Event], object]) -> Kept:
    """`tell` is given what people did to the state by hand. Raises SetupError, OSError."""
    state = folder / STATE
    if not state.exists() and not (folder / NODES).exists():
        # The first start ever. Later, a state that is missing is an accident and stops nothing.
        # As ours, which nobody is writing by hand, so that it is read at once.
        write_durably(state, marked(empty_document(PLACED_COLUMNS), 1, 1).text().encode())
    return Kept(
        NodesFile(folder / NODES),
        SecretFile(folder / secret_file.FILE_NAME),
        RevisionBook.at(folder / history_file.FILE_NAME),
        DataBook.at(folder / data_file.FILE_NAME, dict),
        RebalanceBook(folder),
        _leases(folder / lease_file.FILE_NAME),
        lambda see: DesiredStore(state, tell, PLACED_COLUMNS, see, alone=True),
    )


def _leases(path: Path) -> Leases:
    """Raises SetupError."""
    try:
        return Leases(OwnEntries(FileTable(path)), alone=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise SetupError(f"{path} cannot be read: {error}", "remove it: new terms begin") from error


def together(mirror: Mirror, troubled: Callable[[], str]) -> Kept:
    """`troubled` says why the mirror cannot be relied on now, "" when it can. The order of the parts is that in which what was
    written together is told: an app after its revisions and secrets. Raises SetupError."""
    secrets, history = mirror.part(shared_secrets.PART), mirror.part(HISTORY)
    data, nodes, images = mirror.part(DATA), mirror.part(kept_nodes.PART), mirror.part(learned.PART)
    rebalances, apps = mirror.part(shared_rebalances.PART), mirror.part(shared.PART)
    return Kept(
        SharedNodes(nodes),
        SharedSecrets(secrets),
        RevisionBook(history, "the history in etcd"),
        DataBook(data, name="the data in etcd"),
        SharedRebalances(rebalances),
        Leases(mirror.part(lease_file.PART), alone=False),
        lambda see: SharedStore(apps, see, troubled, mirror.revision),
        SharedLearned(images),
        mirror,
        _following(secrets),
        _following(history),
        _following(rebalances),
    )


def _following(entries: Entries) -> Callable[[Changed], None]:
    def follow(changed: Changed) -> None:
        def see(news: News) -> None:
            changed(news.items)

        entries.follow(see)

    return follow
