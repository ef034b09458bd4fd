"""What an event goes back to: the request, or the edit, that last changed its app. Pure.

An id leads from the API's answer over what was declared and where it was placed to the start of the container. It travels with
nothing: every process that writes into the journal finds it there.
"""

from __future__ import annotations

from duckconf.events import Event

# What a request does to an app; what happens to the app from then on goes back to that.
BEGINS = frozenset({"declared", "updated", "withdrawn", "moved"})
# In push mode a request starts what it asks for.
STARTED = "started"
# A person changed the file by hand, which is as good as a request.
EDITED = "edited"


class Causes:
    """By app, in the order of the journal."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def note(self, event: Event) -> None:
        if event.kind == EDITED:
            self._of.update(dict.fromkeys(event.apps, event.id))
        elif event.kind in BEGINS and event.app:
            self._of[event.app] = event.id

    def of(self, event: Event) -> str:
        """ "" where it is not known."""
        return self._of.get(event.app, "")


def is_of_request(event: Event) -> bool:
    """Whether what is told while a request is answered is what that request did, and not what it only brought."""
    return not event.source and (event.kind in BEGINS or event.kind == STARTED or not event.app)
