"""Why apps wait, as it was told already. Pure.

A reason swaps between wordings while refusals of several nodes end at different times; each wording is told once. What an engine
says has ids in it that differ at each try.
"""

from __future__ import annotations

import re
from collections.abc import Collection

IDS = re.compile(r"\b[0-9a-f]{12,64}\b")
# Of one app. More wordings than a person reads.
MOST = 50


class Told:
    """The reasons by app, until it is forgotten."""

    def __init__(self) -> None:
        self._reasons: dict[str, set[str]] = {}

    def is_news(self, app: str, why: str) -> bool:
        """Note that it is told now."""
        words, known = IDS.sub("", why), self._reasons.setdefault(app, set())
        if words in known:
            return False
        if len(known) == MOST:
            known.clear()
        known.add(words)
        return True

    def forget(self, app: str) -> None:
        self._reasons.pop(app, None)

    def keep(self, apps: Collection[str]) -> None:
        """Forget all others."""
        self._reasons = {app: known for app, known in self._reasons.items() if app in apps}
