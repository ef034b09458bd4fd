"""The routes for updates in agents mode: what the nodes' agents report of them goes to the scheduler, and what it decides is kept
here, the revisions in `history.json` and what each slot runs in the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Blueprint, Response, jsonify, request

from api import history
from api.auth import require_operator
from api.body import LARGE_BODY, body, query, seconds, whole
from api.held import HeldRequests
from api.history import History as HistoryRoutes
from api.stores.changes import Changes, View
from api.stores.images import Images
from api.stores.nodes import READY, NodeBook, Seen
from api.stores.placed import UPDATES, PlacedIndex
from api.stores.store import Store
from duckconf import codec
from duckconf.by_revision import noted_before, revision_from_json, revision_to_json, slot_to_json
from duckconf.codec import to_json
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import Instance, meant_to_run
from duckconf.json_values import text
from duckconf.model import App
from duckconf.reach.state.revisions import RevisionBook
from duckconf.rolling import refused_everywhere
from duckconf.rollout import FAILED, History, SlotSeen

NOTHING = Seen("", "", "")


class Decided(NamedTuple):
    """What the scheduler decided on an app that was at `revision`: the hash of the spec that slots run from now on, the
    revisions, how far it is, and what an instance that failed printed last."""

    app: str
    revision: str
    slots: Mapping[int, str]
    history: History
    note: str
    said: str = ""


@dataclass(frozen=True)
class Rollouts:
    """What is asked of the updates; the routes for it are in `blueprint`."""

    store: Store
    index: PlacedIndex
    nodes: NodeBook
    book: RevisionBook
    tell: Callable[[Event], object]
    held: HeldRequests
    images: Images
    tell_updates: Callable[[Mapping[str, str]], None]
    """Has all know how far each of these updates is."""

    def listing(self) -> Response:
        require_operator()
        query("wait", "since")
        patience, since = seconds("wait"), whole("since", -1)
        with self.held.up_to(patience if since >= 0 else 0) as allowed:
            self.index.wait(UPDATES, since, allowed)
        revision = self.index.share(UPDATES).revision
        return jsonify(revision=revision, rollouts=list(self._open()))

    def decide(self) -> Response:
        require_operator()
        request.max_content_length = LARGE_BODY
        wanted = _decisions(body())
        refused: dict[str, str] = {}
        with self.images.lock:
            good = [one for one in wanted if self._is_of_now(one, self.store.find(one.app), refused)]
            news = [one for one in good if self._is_news(one)]
            histories = {one.app: one.history for one in good}

            def note(app: str, past: History) -> History:
                """What was decided, unless its past is another one meanwhile."""
                return self.images.kept(app, histories[app]) if _goes_on(past, histories[app]) else past

            self.book.edit(histories, note)

            late: dict[str, str] = {}

            def change(view: View) -> Changes:
                late.clear()
                found = [(one, view.app(one.app)) for one in good]
                apps = [(app, meant_to_run(app, one.slots)) for one, app in found if self._is_of_now(one, app, late) and app]
                return {app.name: after for app, after in apps if after != app}

            self.store.submit(change)
            refused |= late
            self.tell_updates({one.app: one.note for one in good})
            # The state of some may be as it was, and only their revisions are news.
            self.index.see_again({one.app: self.store.find(one.app) for one in good})
        for one in news:
            if one.app not in refused:
                self._tell_of_end(one)
        return jsonify(decided=len(wanted) - len(refused), refused=refused)

    @contextmanager
    def replacing(self, revisions: Mapping[str, History], since: Mapping[tuple[str, int], float]) -> Iterator[None]:
        """These are the revisions of all apps, noted `since` (seconds since the epoch), once the block has put the apps into the
        state; nothing is decided meanwhile. The old ones hold when the block raises."""
        with self.images.lock:
            before, dates = dict(self.book.revisions), dict(self.book.since)
            self.book.replace({app: past for app, past in revisions.items() if past}, since)
            try:
                yield
            except BaseException:
                self.book.replace(before, dates)
                raise
            self.images.forget(None)
            self.index.updates.clear()
            self.index.see_again(self.store.listing().apps)

    def note(self, app: App) -> None:
        """What an app runs is kept before it gets another spec. Raises OSError."""
        resolved = self.index.resolve(app)

        def noted(name: str, past: History) -> History:
            after = noted_before(resolved, past)
            return self.images.kept(name, after) if after != past else past

        with self.images.lock:
            self.book.edit([app.name], noted)

    def forget_app(self, name: str) -> None:
        """One that is declared again under its name has no past. Raises OSError."""
        self.images.forget([name])
        if name in self.book.revisions:
            with self.images.lock:
                self.book.edit([name], lambda *_: ())
        self.index.tidy()

    def _is_of_now(self, one: Decided, app: App | None, refused: dict[str, str]) -> bool:
        if app is None:
            refused[one.app] = "is not declared"
        elif codec.revision(app) != one.revision:
            refused[one.app] = "has changed"
        elif not _goes_on(self.book.revisions.get(one.app, ()), one.history):
            refused[one.app] = "has another past"
        return one.app not in refused

    def _is_news(self, one: Decided) -> bool:
        known = {(item.number, item.outcome) for item in self.book.revisions.get(one.app, ())}
        last = one.history[-1]
        return bool(last.outcome) and (last.number, last.outcome) not in known

    def _tell_of_end(self, one: Decided) -> None:
        last = one.history[-1]
        if last.outcome == FAILED:
            said = f"; its last output: {one.said}" if one.said else ""
            self.tell(Event("update-failed", f"{one.app}: {one.note}{said}", one.app))
        elif last.number > 1:
            self.tell(Event("update-done", f"{one.app}: revision {last.number} runs", one.app))

    def _open(self) -> Iterator[dict[str, Any]]:
        for name, app in list(self.index.restless.items()):
            past = self.book.revisions.get(name, ())
            instances = self.index.instances(name)
            if not past and self._is_starting(instances):
                # As long as it does, there is nothing to decide.
                continue
            found = self.store.find(name)
            if found is not None:
                refused = self._refused(app, instances)
                yield {
                    "app": name,
                    "revision": codec.revision(found),
                    "declared": {**to_json(app), "name": name},
                    "history": [revision_to_json(item) for item in past],
                    "slots": {str(one.slot): slot_to_json(self._seen(one, refused)) for one in instances},
                    "meant": {str(one.slot): one.meant for one in instances},
                    "note": self.index.updates.get(name, ""),
                    "said": next(filter(None, (self._failed(one).said for one in instances)), ""),
                }

    def _is_starting(self, instances: Sequence[Instance]) -> bool:
        """Whether these, the first of an app, are on their way to be ready, and none of them has failed."""
        there = [one for one in instances if one.node in self.nodes.nodes and self.nodes.status(one.node) == READY]
        failed = any(self._failed(one).failure for one in there)
        return not failed and (not there or any(one.meant and self._ready_for(one) is None for one in there))

    def _seen(self, instance: Instance, refused: str) -> SlotSeen:
        node, copies = instance.node, self.index.copies(instance)
        return SlotSeen(
            instance.spec if node else "",
            self._ready_for(instance),
            any(seen.ready for seen in copies),
            any(seen.running and seen.health != UNHEALTHY for seen in copies),
            self._failed(instance).failure,
            refused,
            not node or (node in self.nodes.nodes and self.nodes.status(node) == READY),
        )

    def _ready_for(self, instance: Instance) -> float | None:
        """For how long the container that the instance was placed to be has been ready."""
        if instance.node not in self.nodes.nodes:
            return None
        there = [seen for seen in self.nodes.nodes[instance.node].copies.get(instance.name, ()) if seen.spec == instance.spec]
        times = [self.nodes.ready_for(instance.node, seen.container) for seen in there]
        return max((time for time in times if time is not None), default=None)

    def _failed(self, instance: Instance) -> Seen:
        """What its node told of it when it could not bring it up."""
        copies = self.nodes.nodes[instance.node].copies if instance.node in self.nodes.nodes else {}
        return next((seen for seen in copies.get(instance.name, ()) if seen.failed == instance.spec), NOTHING)

    def _refused(self, app: App, instances: Sequence[Instance]) -> str:
        """Why no node that could take the present spec does, "" while one may."""
        held = self.index.data.of(instances[0]) if instances else None
        able = (node for node in self.nodes.open_nodes() if held is None or node == held.node)
        return refused_everywhere(able, app, self.index.sites, lambda node: self.nodes.refusal(node, app))


def _goes_on(past: History, after: History) -> bool:
    """Whether `after` was decided on this past: the oldest may be gone, and new ones may have come."""
    kept = [(item.number, item.spec) for item in past if item.number >= after[0].number]
    return kept == [(item.number, item.spec) for item in after[: len(kept)]] and bool(kept or not past)


def blueprint(rollouts: Rollouts, declare: Callable[[App], Response]) -> Blueprint:
    """`declare` puts an earlier spec into the state again."""
    routes = Blueprint("rollouts", __name__)
    past = HistoryRoutes(_for_operator(rollouts.store.get), rollouts.book.told, declare)
    routes.register_blueprint(history.blueprint(past))
    routes.get("/rollouts")(rollouts.listing)
    routes.put("/rollouts")(rollouts.decide)
    return routes


def _for_operator(get: Callable[[str], App]) -> Callable[[str], App]:
    def checked(name: str) -> App:
        require_operator()
        return get(name)

    return checked


def _decisions(data: object) -> Sequence[Decided]:
    """From {"rollouts": [{"app", "revision", "slots", "history", "note", "said"}, …]}; raises BadInput."""
    entries = data.get("rollouts") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise BadInput(Fault("rollouts", "should be a list of decisions of the scheduler"))
    found = []
    for number, entry in enumerate(entries):
        try:
            slots = {int(slot): text(spec) for slot, spec in entry["slots"].items()}
            past = tuple(revision_from_json(item) for item in entry["history"])
            if not past:
                raise ValueError("history is empty")
            texts = {key: text(entry[key]) for key in ("app", "revision", "note", "said")}
            found.append(Decided(slots=slots, history=past, **texts))
        except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"should have app, revision, slots, history, note and said: {type(error).__name__} {error}"
            raise BadInput(Fault(f"rollouts/{number}", what)) from None
    return found
