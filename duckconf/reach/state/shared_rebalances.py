"""What was asked for and done about a rebalance, as several servers keep it together."""

from __future__ import annotations

import json

from duckconf.reach.state.entries import Entries, Reading
from duckconf.reach.state.table import Changes
from duckconf.rebalancing import Progress, progress_from_json

PART = "rebalance"
ASKED = "asked"
PROGRESS = "progress"


class SharedRebalances:
    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    @property
    def progress(self) -> Progress:
        return _progress(self._entries.texts().get(PROGRESS))

    def asked(self) -> int:
        return int(self._entries.texts().get(ASKED, "0"))

    def ask(self) -> int:
        def decide(reading: Reading) -> Changes:
            behind = _progress(reading.get(PROGRESS)).done
            return {ASKED: str(max(behind, int(reading.get(ASKED) or "0")) + 1)}

        self._entries.change(decide)
        return self.asked()

    def keep(self, progress: Progress) -> None:
        def decide(reading: Reading) -> Changes:
            return {PROGRESS: json.dumps(progress.to_json())} if progress != _progress(reading.get(PROGRESS)) else {}

        self._entries.change(decide)

    def read(self) -> Progress:
        return self.progress


def _progress(text: str | None) -> Progress:
    """As of the file: what cannot be read is forgotten."""
    try:
        return progress_from_json(json.loads(text or ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Progress()
