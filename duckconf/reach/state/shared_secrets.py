"""The secrets of a cluster as several servers keep them together: an entry for each."""

from __future__ import annotations

import json
from collections.abc import Mapping

from duckconf.errors import NotNow
from duckconf.reach.state.entries import Entries, Reading
from duckconf.reach.state.secrets import after_put, from_json, require_there, to_json
from duckconf.reach.state.table import Changes, News
from duckconf.secrets import KeptSecret

PART = "secrets"


class SharedSecrets:
    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._kept: dict[str, KeptSecret | None] = {}
        entries.follow(self._see)
        self._kept = {name: _read(text) for name, text in entries.texts().items()}

    def current(self) -> Mapping[str, KeptSecret]:
        kept = dict(self._kept)
        found = {name: secret for name, secret in kept.items() if secret is not None}
        if len(found) < len(kept):
            raise NotNow(f"the secret {min(kept.keys() - found.keys())} cannot be read", "set it again")
        return found

    def revisions(self) -> dict[str, str]:
        return {name: secret.revision for name, secret in self.current().items()}

    def put(self, name: str, value: bytes, now: float, salt: bytes = b"") -> tuple[KeptSecret, bool]:
        outcome: list[tuple[KeptSecret, bool]] = []

        def decide(reading: Reading) -> Changes:
            text = reading.get(name)
            before = _read(text) if text is not None else None
            after = after_put(before, value, now, salt)
            outcome.append((after, after is not before))
            return {} if after is before else {name: json.dumps(to_json(after))}

        self._entries.change(decide)
        return outcome[-1]

    def remove(self, name: str) -> None:
        def decide(reading: Reading) -> Changes:
            if reading.get(name) is None:
                require_there(name, self.current())
            return {name: None}

        self._entries.change(decide)

    def _see(self, news: News) -> None:
        kept = {name: secret for name, secret in self._kept.items() if name not in news.items}
        self._kept = kept | {name: _read(item.text) for name, item in news.items.items() if item is not None}


def _read(text: str) -> KeptSecret | None:
    """None for what is none; its words may hold a value."""
    try:
        return from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
