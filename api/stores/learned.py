"""Which image each revision has, as agents found out, until that is kept with the revision: known by one server, or by all."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Optional, Protocol

from duckconf.actions import Pin
from duckconf.errors import DuckconfError
from duckconf.pins import Key
from duckconf.reach.state.entries import Reading, SharedEntries
from duckconf.reach.state.table import Changes, News
from duckconf.told_image import pin_from_json, pin_to_json

PART = "images"

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
        """Have told what is learned or forgotten from now on, by any server."""


class OwnLearned:
    """By a server that is alone."""

    def __init__(self) -> None:
        self._pins: dict[Key, Pin] = {}

    def get(self, key: Key) -> Optional[Pin]:
        return self._pins.get(key)

    def pins(self) -> Mapping[Key, Pin]:
        return dict(self._pins)

    def note(self, news: Mapping[Key, Pin]) -> None:
        self._pins.update(news)

    def forget(self, apps: Optional[Collection[str]]) -> None:
        for key in [key for key in list(self._pins) if apps is None or key[0] in apps]:
            self._pins.pop(key, None)

    def follow(self, changed: Callable[[Iterable[Key]], None]) -> None:
        """Whoever changes it knows it."""


class SharedLearned:
    """By all servers. The entries have the names APP/SPEC."""

    def __init__(self, entries: SharedEntries) -> None:
        self._entries = entries
        self._pins = {key: pin for name, text in entries.texts().items() if (key := _key(name)) and (pin := _pin(text))}
        self._see: list[Callable[[Iterable[Key]], None]] = []
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
            return dict.fromkeys(name for name in reading.all() if apps is None or name.partition("/")[0] in apps)

        self._entries.change(decide)

    def follow(self, changed: Callable[[Iterable[Key]], None]) -> None:
        self._see.append(changed)

    def _follow(self, news: News) -> None:
        keys = []
        for name, item in news.items.items():
            if (key := _key(name)) is None:
                continue
            keys.append(key)
            if item is None or (pin := _pin(item.text)) is None:
                self._pins.pop(key, None)
            else:
                self._pins[key] = pin
        for see in self._see:
            see(keys)


def _key(name: str) -> Optional[Key]:
    app, _, spec = name.partition("/")
    return (app, spec) if spec else None


def _pin(text: str) -> Optional[Pin]:
    try:
        return pin_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, DuckconfError) as error:
        log.warning("the image of a revision in etcd was not understood: %s", error)
        return None
