"""How the desired file and its history stay one: versions, and edits that crossed. Pure.

The API writes a revision into the file. A person who edits for ten minutes saves an old revision with changes; what the
API wrote meanwhile is then put back, unless the person changed the same app: their word is the later one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Union

from duckconf.desired import Document, changed
from duckconf.model import App

Apps = Mapping[str, Union[App, None]]
REMEMBERED = 1000


class History:
    """What each of the last revisions changed, so that an older state can be told from the present one."""

    def __init__(self, begin: int) -> None:
        """Nothing before the revision `begin` will be known."""
        self._begin = begin
        self._steps: deque[tuple[int, Apps]] = deque()

    def note(self, revision: int, before: Apps) -> None:
        """`revision` changed the apps of `before` from what is given there (None: was not declared)."""
        self._steps.append((revision, before))
        if len(self._steps) > REMEMBERED:
            self._begin, _ = self._steps.popleft()

    def since(self, revision: int) -> Apps | None:
        """Every app changed after `revision` as it was then; None when that is too long ago to know."""
        if revision < self._begin:
            return None
        then: dict[str, App | None] = {}
        for number, before in reversed(self._steps):
            if number <= revision:
                break
            then.update(before)
        return then


def merged(theirs: Document, ours: Document, history: History) -> Document:
    """The file that a person saved, with what the API wrote since they began put back.

    Without a revision in it, it was made from what lay there, and holds as it is.
    """
    if not 0 < theirs.revision < ours.revision:
        return theirs
    now, saved = ours.apps(), theirs.apps()
    then = history.since(theirs.revision)
    if then is None:
        # From before our memory: what it lacks may be newer than it, and is kept.
        return changed(theirs, {name: app for name, app in now.items() if name not in saved and not theirs.names_badly(name)})
    untouched = {name for name, app in then.items() if saved.get(name) == app and not theirs.names_badly(name)}
    return changed(theirs, {name: now.get(name) for name in untouched if saved.get(name) != now.get(name)})
