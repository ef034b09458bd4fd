"""The apps that should run, as clients change them, whatever they are kept in.

A change is decided on what is there with the changes before it, and is acknowledged when it is kept safely; one that cannot be
written changes nothing. Changes that arrive together are decided one after the other and written together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from api.stores.changes import Changes, Counts, Decide, Listing, Put, Update, View, check, refuse_claimed
from api.stores.together import Waiting
from duckconf.errors import Conflict, DuckconfError, NotFound
from duckconf.model import App
from duckconf.naming import declared_number
from duckconf.reach.state.fence import Look
from duckconf.suggest import meant


class Store(ABC):
    """The apps of one cluster, for many threads of one process."""

    name: str
    """What people know it by, such as the name of its file."""

    @property
    @abstractmethod
    def trouble(self) -> str:
        """Why it cannot be read as a whole now, "" when it can."""

    @abstractmethod
    def find(self, name: str) -> App | None: ...

    @abstractmethod
    def listing(self) -> Listing:
        """The last state that could be read, and what cannot be read now."""

    @property
    @abstractmethod
    def counts(self) -> Counts:
        """Where another store that takes its place counts on from."""

    @abstractmethod
    def submit(self, decide: Decide) -> None:
        """Return when the changes that `decide` gives are kept; raises what it raises, Conflict, NotNow or OSError. It may be
        asked again, on what has changed meanwhile."""

    @abstractmethod
    def wait(self, since: int, seconds: float) -> int:
        """The revision, as soon as it is another one than `since`, or after `seconds`."""

    @abstractmethod
    def confirm(self) -> bool:
        """Take an edit by hand that waits for it; false when none waits. Raises NotNow, OSError."""

    @abstractmethod
    def fault_of(self, name: str) -> str:
        """Why what is declared under this name cannot be read, "" when nothing of that kind is there."""

    @abstractmethod
    def watch(self) -> None:
        """Take over what others do to it, until `close`."""

    @abstractmethod
    def close(self) -> None: ...

    def get(self, name: str) -> App:
        """Raises NotFound."""
        app = self.find(name)
        if app is None:
            fault = self.fault_of(name)
            raise NotFound(f"no app {name!r} is declared" + (f"; {fault}" if fault else self._meant(name)), "see `./inv ps`")
        return app

    def _meant(self, name: str) -> str:
        return meant(name, self.listing().apps)

    def put(self, name: str, update: Update, expected: frozenset[str] | None = None) -> Put:
        """Declare `update(the app as it is or None, the revision of this write)`.

        `expected` holds the revisions that the app may have ("*": any, but it must exist). Raises PreconditionFailed,
        BadInput from `update`, Conflict when a bad row has the name, NotNow, OSError.
        """
        outcome: list[Put] = []

        def decide(view: View) -> Changes:
            before = view.app(name)
            check(name, before, expected)
            app = update(before, view.revision)
            outcome.append(Put(before, app))
            return {} if app == before else {name: app}

        self.submit(decide)
        return outcome[-1]

    def add(self, app: App) -> App:
        """Declare a new app, named `app-N` when it has no name; raises Conflict when the name is taken."""
        outcome: list[App] = []

        def decide(view: View) -> Changes:
            named = app if app.name else replace(app, name=f"app-{view.number}")
            if view.app(named.name) is not None:
                raise Conflict(f"an app {named.name!r} is declared already", f"change it: ./inv update {named.name}")
            outcome.append(named)
            return {named.name: named}

        self.submit(decide)
        return outcome[-1]

    def delete(self, name: str, expected: frozenset[str] | None = None) -> None:
        """Withdraw an app; raises NotFound, PreconditionFailed."""

        def decide(view: View) -> Changes:
            before = view.app(name)
            if before is None:
                raise NotFound(f"no app {name!r} is declared{self._meant(name)}", "see `./inv ps`")
            check(name, before, expected)
            return {name: None}

        self.submit(decide)


def decided(
    batch: Sequence[Waiting], base: View, refuse: Callable[[Changes], None], look: Look | None = None
) -> dict[str, App | None]:
    """What these changes come to, one after the other; each that is refused has its failure noted. `refuse` raises for names that
    may not be written. `look` reads what fences look at, None where what is there now cannot change meanwhile."""
    overlay: dict[str, App | None] = {}
    number = base.number

    def app(name: str) -> App | None:
        return overlay[name] if name in overlay else base.app(name)

    def apps() -> Mapping[str, App]:
        return {name: app for name, app in {**base.apps(), **overlay}.items() if app is not None}

    for waiting in batch:
        waiting.failure = None
        try:
            if waiting.fence is not None and look is not None:
                waiting.fence(look)
            changes = waiting.decide(View(app, number, base.revision, apps))
            refuse(changes)
            refuse_claimed(changes, apps)
        except DuckconfError as error:
            waiting.failure = error
            continue
        overlay.update(changes)
        number = max([number, *(declared_number(name) + 1 for name in changes)])
    return overlay
