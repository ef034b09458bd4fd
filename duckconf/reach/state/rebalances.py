"""What was asked for and done about a rebalance, in the cluster's state: who asks counts `rebalance.json` up, who moves instances
keeps how far it is in `rebalanced.json`. On disk, so that both survive their processes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Protocol

from duckconf.reach.state.asked import Asked
from duckconf.reach.state.files import write_durably
from duckconf.rebalancing import Progress, progress_from_json

ASKED_NAME = "rebalance.json"
PROGRESS_NAME = "rebalanced.json"
# The file of requests has a number for each thing that is asked for; here it is one thing.
ALL = "all"


class Rebalances(Protocol):
    """How far the rebalance is, and the number of the last request."""

    @property
    def progress(self) -> Progress: ...

    def asked(self) -> int: ...

    def keep(self, progress: Progress) -> None: ...


class RebalanceRequests(Rebalances, Protocol):
    """The same for one who takes requests too."""

    def ask(self) -> int:
        """The number of the new request, when it is kept safely."""

    def read(self) -> Progress:
        """As it is kept now."""


class RebalanceBook:
    """Both files of one cluster; one process writes each of them."""

    def __init__(self, folder: Path) -> None:
        """Progress that cannot be read is forgotten: what is under way is seen, and an old request is carried out again."""
        self.asked_path = folder / ASKED_NAME
        self._path = folder / PROGRESS_NAME
        self._asking = threading.Lock()
        self._asked = Asked(self.asked_path)
        self.progress = self.read()

    def asked(self) -> int:
        return self._asked.numbers().get(ALL, 0)

    def ask(self) -> int:
        """The number of the new request, when it is on disk."""
        with self._asking:
            behind = self.read().done
            while self._asked.numbers().get(ALL, 0) < behind:
                self._asked.ask(ALL)
            self._asked.ask(ALL)
            return self.asked()

    def keep(self, progress: Progress) -> None:
        """Return when it is on disk. Raises OSError, and the old one holds."""
        if progress != self.progress:
            write_durably(self._path, json.dumps(progress.to_json(), indent=1).encode() + b"\n")
            self.progress = progress

    def read(self) -> Progress:
        """As it is on disk now."""
        try:
            return progress_from_json(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Progress()
