"""The events in a stream of server-sent events (WHATWG HTML, 9.2), as its bytes come. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Sent(NamedTuple):
    kind: str
    data: Any
    id: str


class Reader:
    """Of one stream."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def read(self, content: bytes) -> Iterator[Sent]:
        """The events that end in it. Raises ValueError for what is no such stream of JSON."""
        self._rest += content
        *blocks, rest = bytes(self._rest).split(b"\n\n")
        self._rest = bytearray(rest)
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            if "data" in fields:
                yield Sent(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))
