"""A table in etcd: an entry is a key, its revision is etcd's.

Every commit also writes the key of its writer with a number of its own, and compares the revision of that key: a commit whose
answer was lost can be sent again, because only one of both can be done, and who finds his number there knows that the first one
was.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from duckconf.errors import NotNow, PreconditionFailed
from duckconf.reach.api.etcd import MAJORITY, PAUSE, EtcdRefused, Gateway, Unsure, coded, decoded
from duckconf.reach.state.table import ABSENT, ANY, Changes, Compacted, Item, Listing, News, check

ID_BYTES = 8
WRITERS = "writers/"
# Entries of one answer.
PAGE = 5000


class EtcdTable:
    """All that a cluster keeps in etcd, for many threads. Reads are linearizable."""

    def __init__(self, gateway: Gateway, cluster: str, writer: str) -> None:
        """The keys are `/duckconf/CLUSTER/…`. No other table of the cluster may have the name `writer` at the same time."""
        self._gateway = gateway
        self._prefix = f"/duckconf/{cluster}/"
        self._marker = f"{self._prefix}{WRITERS}{writer}"
        self._committing = threading.Lock()
        self._marked: int | None = None

    def get(self, name: str) -> Item | None:
        """Raises NotNow, EtcdRefused, as all others do."""
        found = self._gateway.call("/v3/kv/range", {"key": coded(self._prefix + name)})
        return self._items(found).get(name)

    def list(self, prefix: str = "") -> Listing:
        """Page by page, as it was at the first one."""
        first, revision = self._prefix + prefix, 0
        end, items, more = coded(_end(first)), dict[str, Item](), True
        while more:
            at = {"revision": str(revision)} if revision else {}
            page = self._gateway.call("/v3/kv/range", {"key": coded(first), "range_end": end, "limit": str(PAGE), **at})
            revision = revision or _revision(page)
            items |= self._items(page)
            more = bool(page.get("more"))
            first = decoded(page["kvs"][-1]["key"]) + "\0" if more else first
        return Listing(revision, items)

    def commit(self, changes: Changes, expected: Mapping[str, int] = ANY) -> int:
        """Raises Unsure where it was sent and etcd does not say in time whether it was done."""
        end = time.monotonic() + self._gateway.seconds
        if not self._committing.acquire(timeout=self._gateway.seconds):
            raise NotNow("etcd has not answered an earlier write yet", MAJORITY)
        try:
            return self._commit(secrets.token_hex(ID_BYTES), changes, expected, end)
        finally:
            self._committing.release()

    def _commit(self, number: str, changes: Changes, expected: Mapping[str, int], end: float) -> int:
        unsure = False
        while True:
            try:
                if self._marked is None:
                    self._marked = self._read_marked(end)
                answer = self._gateway.once("/v3/kv/txn", self._transaction(number, self._marked, changes, expected), end)
                done = self._outcome(answer, number, expected)
                if done is not None:
                    return done
            except (PreconditionFailed, EtcdRefused):
                if unsure:
                    self._fence(number)
                raise
            except NotNow as error:
                unsure = unsure or isinstance(error, Unsure)
                if time.monotonic() >= end:
                    raise (Unsure if unsure else NotNow)(error.message, error.remedy) from error
                time.sleep(PAUSE)

    def _read_marked(self, end: float) -> int:
        found = self._gateway.once("/v3/kv/range", {"key": coded(self._marker)}, end).get("kvs", ())
        return int(found[0]["mod_revision"]) if found else ABSENT

    def _fence(self, number: str) -> None:
        """Of a commit that fails now, an earlier try may still be on its way: it finds another marker. Raises Unsure."""
        self._marked = None
        try:
            self._gateway.call("/v3/kv/put", {"key": coded(self._marker), "value": coded(f"not {number}")})
        except NotNow as error:
            raise Unsure(error.message, error.remedy) from error

    def _transaction(self, number: str, marked: int, changes: Changes, expected: Mapping[str, int]) -> dict[str, Any]:
        compared = {self._marker: marked, **{self._prefix + name: revision for name, revision in expected.items()}}
        puts = {self._marker: number, **{self._prefix + name: text for name, text in changes.items()}}
        return {
            "compare": [
                {"key": coded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
                for key, revision in compared.items()
            ],
            "success": [_put(key, text) for key, text in puts.items()],
            "failure": [{"request_range": {"key": coded(key)}} for key in compared],
        }

    def _outcome(self, answer: Mapping[str, Any], number: str, expected: Mapping[str, int]) -> int | None:
        """The revision of the commit, None where it is to be sent again. Raises PreconditionFailed."""
        if answer.get("succeeded"):
            self._marked = _revision(answer)
            return self._marked
        found = [one for part in answer["responses"] for one in part["response_range"].get("kvs", ())]
        at = {decoded(one["key"]): (int(one["mod_revision"]), decoded(one.get("value", ""))) for one in found}
        before, (self._marked, text) = self._marked, at.pop(self._marker, (ABSENT, ""))
        if text == number:
            return self._marked
        check(expected, {key.removeprefix(self._prefix): revision for key, (revision, _) in at.items()})
        if before == self._marked:
            raise PreconditionFailed("an entry has changed meanwhile", "read it again")
        return None

    def follow(self, since: int, pause: float) -> Iterator[News]:
        while True:
            first = self._prefix
            body = {"key": coded(first), "range_end": coded(_end(first)), "start_revision": str(since + 1)}
            begun = False
            for told in self._gateway.watch(body, pause):
                # One that was restored from a snapshot is behind what it had told.
                if "compact_revision" in told or (not begun and _revision(told) < since):
                    words = f"what has changed since revision {since} is not known any more: etcd has compacted it"
                    raise Compacted(words, "list it again")
                begun = True
                if events := told.get("events"):
                    # The header has the newest revision, to which these need not reach. A marker alone is news too.
                    since = max(int(event["kv"]["mod_revision"]) for event in events)
                    yield News(since, self._changed(events))
            if not begun:
                time.sleep(PAUSE)
            yield News(since, {})

    def _changed(self, events: Any) -> dict[str, Item | None]:
        found: dict[str, Item | None] = {}
        for event in events:
            gone = event.get("type") == "DELETE"
            for name, item in self._items({"kvs": [event["kv"]]}).items():
                found[name] = None if gone else item
        return found

    def _items(self, answer: Mapping[str, Any]) -> dict[str, Item]:
        """Without the markers."""
        named = ((decoded(one["key"]).removeprefix(self._prefix), one) for one in answer.get("kvs", ()))
        return {
            name: Item(decoded(one.get("value", "")), int(one["mod_revision"]))
            for name, one in named
            if not name.startswith(WRITERS)
        }

    def set_aside(self) -> None:
        """etcd itself has the earlier values, until it compacts them."""


def _put(key: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {"request_delete_range": {"key": coded(key)}}
    return {"request_put": {"key": coded(key), "value": coded(text)}}


def _revision(answer: Mapping[str, Any]) -> int:
    return int(answer["header"]["revision"])


def _end(prefix: str) -> str:
    """The first key behind all that begin with the prefix, which ends with an ASCII sign."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
