"""What the journal is told when somebody declares, changes or withdraws an app. Pure."""

from __future__ import annotations

from duckconf.events import Event
from duckconf.model import App


def of_change(name: str, before: App | None, after: App | None) -> Event:
    if after is None:
        return Event("withdrawn", f"{name} withdrawn", name)
    kind = "declared" if before is None else "updated"
    return Event(kind, f"{name} {kind} ({after.image})", name)
