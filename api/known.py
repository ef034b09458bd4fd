"""What a server of agents mode knows of its cluster, over what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api import secrets
from api.stores.data import HeldData
from api.stores.kept import Kept
from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf.reach.api.control_config import ControlConfig
from duckconf.secrets import using


@dataclass(frozen=True)
class Known:
    kept: Kept
    nodes: NodeBook
    index: PlacedIndex
    store: Store


def knowing(kept: Kept, config: ControlConfig) -> Known:
    """Raises SetupError, OSError."""
    nodes = NodeBook(kept.nodes, config.nodes, config.node_timeout)
    resolve = secrets.resolving(kept.secrets)
    index = PlacedIndex(nodes, resolve, config.sites, lambda app: kept.revisions.revisions.get(app, ()))
    index.data = HeldData(kept.data)
    store = kept.store(index.see)

    def see_again(apps: Iterable[str]) -> None:
        index.see_again({name: app for name in apps if (app := store.find(name)) is not None})

    kept.follow_revisions(see_again)
    kept.follow_secrets(lambda names: see_again(using(store.listing().apps.values(), names)))
    return Known(kept, nodes, index, store)
