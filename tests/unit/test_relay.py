"""What a server hears from agents, as it is told to the others and comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from api.stores.nodes import Report
from api.stores.relay import Relay
from duckconf.reach.state.entries import Entries, Reading, See
from duckconf.reach.state.table import Changes, Item, News


class Table:
    """Entries of which each change comes back after `meanwhile` has happened."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self._see: list[See] = []
        self._revision = 0

    def texts(self) -> dict[str, str]:
        return {}

    def change(self, decide: Callable[[Reading], Changes]) -> int:
        changes = decide(Reading(lambda _: None, dict, lambda *_: None))
        self.meanwhile()
        return self.comes(**{name: text for name, text in changes.items() if text is not None})

    def comes(self, **texts: str) -> int:
        self._revision += 1
        for see in self._see:
            see(News(self._revision, {name: Item(text, self._revision) for name, text in texts.items()}))
        return self._revision

    def follow(self, see: See) -> None:
        self._see.append(see)


def test_an_earlier_report_that_comes_back_late_does_not_hide_a_newer_one() -> None:
    table = Table()
    taken: list[Any] = []
    relay = Relay(cast(Entries, table), "control-1", 20.0, lambda _, told: taken.append(told), lambda _: None, lambda _: None)
    relay.hear("node-1", {"restarts": 1}, Report("node-1", ()))
    table.meanwhile = lambda: relay.hear("node-1", {"restarts": 2}, Report("node-1", (), unreadable="changed"))
    relay.write()
    assert taken == []
    table.comes(**{"nodes/node-1": '{"restarts": 3}'})
    assert taken == [{"restarts": 3}]
