"""What happened, as values: for people (`./inv events`), programs (`GET /events`) and the log alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Event:
    """`kind` is one of a few words such as `started` or `node-lost`; `app` and `node` are "" where none is meant.

    `time` is in seconds since the epoch, set by whoever writes it down.
    """

    kind: str
    message: str
    app: str = ""
    node: str = ""
    source: str = ""
    time: float = 0.0
    instance: str = ""
    """The instance that waits, where one is meant: an app has several."""
    id: str = ""
    """Of the request, or the edit by hand, that it goes back to, "" where none is known."""
    apps: tuple[str, ...] = ()
    """All that it is about, where it is several at once."""

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value not in ("", ())}


def with_ids(events: Sequence[Event], told: object) -> list[Event]:
    """Events that were reported, with the ids that the journal told for them; without, where an older server told none."""
    ids = told if isinstance(told, list) and len(told) == len(events) else [""] * len(events)
    return [replace(event, id=str(number)) for event, number in zip(events, ids)]


def event_from_json(data: Any) -> Event:
    """Raises TypeError, ValueError or KeyError for something that is no event."""
    texts = {name: str(data.get(name, "")) for name in ("app", "node", "source", "instance", "id")}
    apps = tuple(str(name) for name in data.get("apps", ()))
    return Event(str(data["kind"]), str(data["message"]), **texts, time=float(data["time"]), apps=apps)
