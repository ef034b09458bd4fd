"""What people decided of nodes, kept safely: cordons, drains, and how often a node was to try again what it refused.

One server alone keeps it in `nodes.json`, with the last heartbeats for people to read; several keep an entry for each node.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional, Protocol

from duckconf.errors import SetupError
from duckconf.reach.state.entries import Entries, Reading
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.table import Changes, News

PART = "nodes"
# The highest epoch that a server has had.
EPOCH = ".epoch"


class Closed(NamedTuple):
    """`cordoned`: it gets nothing new; `draining`: what runs there is moved, and it is cordoned. `asked` is how often a person
    had it try again what it refused."""

    cordoned: bool = False
    draining: bool = False
    asked: int = 0


See = Callable[[str, Closed], None]


class KeptNodes(Protocol):
    """For many threads."""

    epoch: int
    """Another one with each start of a server, and greater than all before it."""

    def begin(self, above: int = 0) -> None:
        """Keep the epoch safely, before anybody is told of it, for clocks that go back; it is above this one then. Raises NotNow,
        OSError."""

    def of(self, name: str) -> Closed: ...

    def heartbeat(self, name: str) -> float:
        """When the node was last heard, in seconds since the epoch; 0 where that is not known."""

    def change(self, name: str, change: Callable[[Closed], Closed]) -> bool:
        """Whether it was a change, when it is kept and told. Raises NotNow, OSError, and nothing has changed."""

    def note(self, heard: Mapping[str, tuple[float, int]]) -> None:
        """When each node was heard, and how many containers it has, for people to read. Raises OSError."""

    def follow(self, see: See) -> None:
        """Have each change told, also ours, before `change` returns."""


class NodesFile:
    """The file `nodes.json` of one cluster; one process writes it."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when the file is there and cannot be read."""
        self._path = path
        self._lock = threading.RLock()
        kept = _read(path)
        self.epoch = max(int(time.time()) << 10, int(kept.get("epoch", 0)) + 1)
        nodes = found if isinstance(found := kept.get("nodes"), dict) else {}
        self._closed = {str(name): _closed(entry) for name, entry in nodes.items()}
        self._heard = {str(name): (_heard(entry), 0) for name, entry in nodes.items()}
        self._see: list[See] = []

    def begin(self, above: int = 0) -> None:
        with self._lock:
            self.epoch = max(self.epoch, above + 1)
            self._write(self._closed, self._heard)

    def of(self, name: str) -> Closed:
        return self._closed.get(name, Closed())

    def heartbeat(self, name: str) -> float:
        return self._heard.get(name, (0.0, 0))[0]

    def change(self, name: str, change: Callable[[Closed], Closed]) -> bool:
        with self._lock:
            before = self.of(name)
            after = change(before)
            if after == before:
                return False
            self._write({**self._closed, name: after}, self._heard)
            for see in self._see:
                see(name, after)
            return True

    def note(self, heard: Mapping[str, tuple[float, int]]) -> None:
        with self._lock:
            if heard != self._heard or not self._path.exists():
                self._write(self._closed, heard)

    def follow(self, see: See) -> None:
        self._see.append(see)

    def _write(self, closed: Mapping[str, Closed], heard: Mapping[str, tuple[float, int]]) -> None:
        known = {**dict.fromkeys((name for name, one in closed.items() if one != Closed()), (0.0, 0)), **heard}
        nodes = {
            name: {"heartbeat": when, **_entry(closed.get(name, Closed())), "apps": apps} for name, (when, apps) in known.items()
        }
        write_durably(self._path, json.dumps({"epoch": self.epoch, "nodes": nodes}, indent=1).encode() + b"\n")
        self._closed, self._heard = dict(closed), dict(heard)


class SharedNodes:
    """An entry for each node of which somebody decided something."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        texts = entries.texts()
        # Servers that start in the same second have different ones.
        self.epoch = max((int(time.time()) << 10) + secrets.randbelow(1 << 10), _number(texts.pop(EPOCH, None)) + 1)
        self._closed = {name: _understood(text) for name, text in texts.items()}
        self._see: list[See] = []
        entries.follow(self._follow)

    def begin(self, above: int = 0) -> None:
        self.epoch = max(self.epoch, above + 1)
        self._entries.change(lambda reading: {EPOCH: str(self.epoch)} if _number(reading.get(EPOCH)) < self.epoch else {})

    def of(self, name: str) -> Closed:
        return self._closed.get(name, Closed())

    def heartbeat(self, name: str) -> float:
        return 0.0

    def change(self, name: str, change: Callable[[Closed], Closed]) -> bool:
        changed: list[bool] = []

        def decide(reading: Reading) -> Changes:
            text = reading.get(name)
            before = _understood(text) if text is not None else Closed()
            after = change(before)
            changed.append(after != before)
            return {name: json.dumps(_entry(after))} if after != before else {}

        self._entries.change(decide)
        return changed[-1]

    def note(self, heard: Mapping[str, tuple[float, int]]) -> None:
        """What was heard is told to the other servers in another way, and is not kept."""

    def follow(self, see: See) -> None:
        self._see.append(see)

    def _follow(self, news: News) -> None:
        for name, item in news.items.items():
            if name == EPOCH:
                continue
            closed = _understood(item.text) if item is not None else Closed()
            self._closed[name] = closed
            for see in self._see:
                see(name, closed)


def _entry(closed: Closed) -> dict[str, Any]:
    entry: dict[str, Any] = {"cordoned": closed.cordoned}
    entry |= {"draining": True} if closed.draining else {}
    return entry | ({"asked": closed.asked} if closed.asked else {})


def _closed(entry: Any) -> Closed:
    entry = entry if isinstance(entry, dict) else {}
    cordoned, draining = (entry.get(key) is True for key in ("cordoned", "draining"))
    asked = entry.get("asked", 0)
    return Closed(cordoned or draining, draining, asked if isinstance(asked, int) else 0)


def _understood(text: str) -> Closed:
    """What cannot be read closes nothing."""
    try:
        return _closed(json.loads(text))
    except ValueError:
        return Closed()


def _number(text: Optional[str]) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0


def _heard(entry: Any) -> float:
    return float(entry.get("heartbeat", 0.0)) if isinstance(entry, dict) else 0.0


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SetupError(f"{path} cannot be read: {error}", "repair it, or move it away: cordons are then lost") from error
    return content if isinstance(content, dict) else {}
