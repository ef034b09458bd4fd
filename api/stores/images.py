"""Which image each revision of an app runs: what agents found out, kept with the revision, and told to all that run it.

Until it is known, one instance is started first and the others wait for it. The agents tell again what is not kept yet.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from api.stores.learned import Learned, OwnLearned
from api.stores.nodes import READY, UNREACHABLE, NodeBook
from api.stores.placed import PlacedIndex
from duckconf.actions import Pin
from duckconf.by_revision import is_rolled_out
from duckconf.errors import NotNow
from duckconf.instance import Instance
from duckconf.overview import BACKOFF
from duckconf.pins import Key, is_fresh, pin_of, with_learned
from duckconf.reach.state.revisions import RevisionBook
from duckconf.rollout import History, spec_only
from duckconf.told_image import ToldImage


@dataclass
class Images:
    """For many threads; `lock` is held by whoever changes the revisions."""

    index: PlacedIndex
    nodes: NodeBook
    book: RevisionBook
    learned: Learned = field(default_factory=OwnLearned)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.learned.follow(self._wake)

    def told(self, instance: Instance) -> ToldImage | None:
        """For the agent of its node; None for what has no revisions, and for an agent that knows nothing of it."""
        app, key = instance.app, (instance.app.name, instance.spec)
        if "@" in app.image or not is_rolled_out(app) or not self._tells(instance.node):
            return None
        if (pin := self._pin(key)) is not None:
            return ToldImage(pin)
        past = self.book.revisions.get(app.name, ())
        fresh, alike = is_fresh(spec_only(app), past), self._alike(key)
        if len(alike) < 2:
            return ToldImage(fresh=fresh)
        try:
            first = self._first_of(key, alike)
        except NotNow:
            # Of two servers that cannot agree, each would have another one go first.
            return ToldImage(awaits=f"waits until the servers agree on who finds out what {app.image} is")
        if first.slot == instance.slot:
            return ToldImage(first=True, fresh=fresh)
        return ToldImage(awaits=f"waits for {first.name} on {first.node}, which finds out what {app.image} is")

    def learn(self, node: str, found: Mapping[Key, Pin]) -> None:
        """What the agent of a node found out of apps that it has. Raises OSError or NotNow, and it will tell again."""
        mine = {key: pin for key, pin in found.items() if any(one.node == node for one in self._alike(key))}
        news = {key: pin for key, pin in mine.items() if self._is_news(key, pin)}
        if news:
            with self.lock:
                self.learned.note(news)
                self.book.edit({app for app, _ in news}, self.kept)
        self._wake(news)
        self._wake(key for key in self.learned.awaited() if key not in news and self._has_turned(key))

    def kept(self, app: str, past: History) -> History:
        """These revisions with the images that are known of them."""
        before = {(app, item.spec): item.pin for item in self.book.revisions.get(app, ()) if item.pin is not None}
        return with_learned(app, past, {**before, **self.learned.pins()})

    def forget(self, apps: Collection[str] | None) -> None:
        """One that is declared again runs what its tag means then; None for all."""
        self.learned.forget(apps)

    def _pin(self, key: Key) -> Pin | None:
        return self.learned.get(key) or pin_of(self.book.revisions.get(key[0], ()), key[1])

    def _is_news(self, key: Key, pin: Pin) -> bool:
        known = self._pin(key)
        return known is None or (known.id == pin.id and known.digests is None and pin.digests is not None)

    def _alike(self, key: Key) -> list[Instance]:
        """The placed instances that run this revision."""
        return [one for one in self.index.instances(key[0]) if one.node and one.spec == key[1]]

    def _tells(self, node: str) -> bool:
        return node in self.nodes.nodes and self.nodes.nodes[node].tells_images

    def _first_of(self, key: Key, alike: Iterable[Instance]) -> Instance:
        """It stays the same as long as it may come up. Raises NotNow."""
        slots = {one.slot: one for one in alike}
        able = {slot for slot, one in slots.items() if self._is_able(one)} or slots.keys()
        stays = able | {slot for slot, one in slots.items() if self._is_unheard(one)}
        return slots[self.learned.first(key, lambda before: before if before in stays else min(able))]

    def _is_unheard(self, instance: Instance) -> bool:
        """Whether its node has told this server nothing yet, while another one may know it well."""
        node = self.nodes.nodes.get(instance.node)
        return node is not None and not node.instance and self.nodes.status(instance.node) != UNREACHABLE

    def _is_able(self, instance: Instance) -> bool:
        node, seen = instance.node, self.index.seen(instance)
        if not self._tells(node) or self.nodes.status(node) != READY or self.nodes.refusal(node, instance.app) is not None:
            return False
        return seen is None or seen.state != BACKOFF

    def _has_turned(self, key: Key) -> bool:
        """Whether another one is to be the first now, or nobody needs one any more."""
        alike = self._alike(key)
        if self._pin(key) is not None or len(alike) < 2:
            self.learned.settle(key)
            return len(alike) == 1
        before = self.learned.first(key, lambda slot: slot)
        return self._first_of(key, alike).slot != before

    def _wake(self, keys: Iterable[Key]) -> None:
        for node in {one.node for key in keys for one in self._alike(key)}:
            self.index.wake(node)
