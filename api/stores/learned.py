"""Which image each revision has, as agents found out, until that is kept with the revision, and which instance goes first for
that: known by one server, or by all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Optional, Protocol, TypeVar

from duckconf.actions import Pin
from duckconf.errors import DuckconfError
from duckconf.pins import Key
from duckconf.reach.state.entries import Reading, SharedEntries
from duckconf.reach.state.table import Changes, News
from duckconf.told_image import pin_from_json, pin_to_json

PART = "images"
# Before APP/SPEC: the slot that goes first.
FIRST = ".first/"

Value = TypeVar("Value")

log = logging.getLogger(__name__)


class Learned(Protocol):
    """For many threads."""

    def get(self, key: Key) -> Optional[Pin]:
        """What is known now."""

    def pins(self) -> Mapping[Key, Pin]:
        """All of it."""

    def note(self, news: Mapping[Key, Pin]) -> None:
        """Raises NotNow."""

    def forget(self, apps: Optional[Collection[str]]) -> None:
        """What is known of these apps; None for all. Raises NotNow."""

    def follow(self, changed: Callable[[Iterable[Key]], None]) -> None:
        """Have told what is learned or forgotten from now on, by any server, and who goes first."""

    def awaited(self) -> Collection[Key]:
        """Those of which an instance goes first."""

    def first(self, key: Key, choose: Callable[[int], int]) -> int:
        """The slot that goes first, which `choose` gives from the one before (0: none). It may be asked again. Raises NotNow."""

    def settle(self, key: Key) -> None:
        """Nobody waits for another one now. Raises NotNow."""


class OwnLearned:
    """By a server that is alone."""

    def __init__(self) -> None:
        self._pins: dict[Key, Pin] = {}
        self._first: dict[Key, int] = {}

    def get(self, key: Key) -> Optional[Pin]:
        return self._pins.get(key)

    def pins(self) -> Mapping[Key, Pin]:
        return dict(self._pins)

    def note(self, news: Mapping[Key, Pin]) -> None:
        self._pins.update(news)

    def forget(self, apps: Optional[Collection[str]]) -> None:
        for known in (self._pins, self._first):
            for key in [key for key in list(known) if apps is None or key[0] in apps]:
                known.pop(key, None)

    def follow(self, changed: Callable[[Iterable[Key]], None]) -> None:
        """Whoever changes it knows it."""

    def awaited(self) -> Collection[Key]:
        return list(self._first)

    def first(self, key: Key, choose: Callable[[int], int]) -> int:
        self._first[key] = slot = choose(self._first.get(key, 0))
        return slot

    def settle(self, key: Key) -> None:
        self._first.pop(key, None)


class SharedLearned:
    """By all servers. The entries have the names APP/SPEC, and .first/APP/SPEC."""

    def __init__(self, entries: SharedEntries) -> None:
        self._entries = entries
        self._pins: dict[Key, Pin] = {}
        self._first: dict[Key, int] = {}
        self._see: list[Callable[[Iterable[Key]], None]] = []
        for name, text in entries.texts().items():
            self._take(name, text)
        entries.follow(self._follow)

    def get(self, key: Key) -> Optional[Pin]:
        return self._pins.get(key)

    def pins(self) -> Mapping[Key, Pin]:
        return dict(self._pins)

    def note(self, news: Mapping[Key, Pin]) -> None:
        texts = {"/".join(key): json.dumps(pin_to_json(pin)) for key, pin in news.items()}

        def decide(reading: Reading) -> Changes:
            return {name: text for name, text in texts.items() if reading.get(name) != text}

        self._entries.change(decide)

    def forget(self, apps: Optional[Collection[str]]) -> None:
        def decide(reading: Reading) -> Changes:
            return dict.fromkeys(name for name in reading.all() if apps is None or (_key(name) or ("",))[0] in apps)

        self._entries.change(decide)

    def follow(self, changed: Callable[[Iterable[Key]], None]) -> None:
        self._see.append(changed)

    def _follow(self, news: News) -> None:
        keys = [self._take(name, item.text if item is not None else None) for name, item in news.items.items()]
        for see in self._see:
            see([key for key in keys if key is not None])

    def awaited(self) -> Collection[Key]:
        return list(self._first)

    def first(self, key: Key, choose: Callable[[int], int]) -> int:
        slot = choose(known := self._first.get(key, 0))
        if slot == known:
            return slot
        name, chosen = FIRST + "/".join(key), [slot]

        def decide(reading: Reading) -> Changes:
            before = _slot(reading.get(name))
            chosen.append(choose(before))
            return {name: str(chosen[-1])} if chosen[-1] != before else {}

        self._entries.change(decide)
        return chosen[-1]

    def settle(self, key: Key) -> None:
        if key in self._first:
            name = FIRST + "/".join(key)
            self._entries.change(lambda reading: {name: None} if reading.get(name) is not None else {})

    def _take(self, name: str, text: Optional[str]) -> Optional[Key]:
        if (key := _key(name)) is None:
            return None
        if name.startswith(FIRST):
            _put(self._first, key, _slot(text) or None)
        else:
            _put(self._pins, key, _pin(text) if text is not None else None)
        return key


def _put(known: dict[Key, Value], key: Key, value: Optional[Value]) -> None:
    if value is None:
        known.pop(key, None)
    else:
        known[key] = value


def _key(name: str) -> Optional[Key]:
    app, _, spec = name.removeprefix(FIRST).partition("/")
    return (app, spec) if spec else None


def _slot(text: Optional[str]) -> int:
    """0 for none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0


def _pin(text: str) -> Optional[Pin]:
    try:
        return pin_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, DuckconfError) as error:
        log.warning("the image of a revision in etcd was not understood: %s", error)
        return None
