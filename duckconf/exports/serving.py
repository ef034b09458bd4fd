"""What serves where the update of an app has failed: its last good revision, not what is declared. Pure."""

from __future__ import annotations

from typing import NamedTuple

from duckconf.model import App
from duckconf.rollout import History, as_declared, last_good, taken_back, with_service


class Served(NamedTuple):
    """The app as it serves, and why that is not what is declared."""

    app: App
    why: str


def serving(declared: App, history: History) -> Served | None:
    """None where what is declared serves, or may soon."""
    failed, good = taken_back(declared, history), last_good(history)
    if failed is None or good is None:
        return None
    why = f"revision {failed.number} failed: {failed.why}; revision {good.number} serves"
    return Served(as_declared(with_service(good.app, declared)), why)
