"""The text of a stream of server-sent events (WHATWG HTML, 9.2), as bytes that all listeners share. Pure.

The id of a frame says how much its reader knows: the pictures of which server, which of them, and the place in the journal.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

KEEP_ALIVE = b": still here\n\n"
# Milliseconds after which a browser that lost the stream asks for it again.
RETRY = b"retry: 500\n\n"


class Known(NamedTuple):
    """What a reader knows: pictures up to `version` of the server with that `epoch`, and events up to `cursor`."""

    epoch: str = ""
    version: int = 0
    cursor: str = ""


def id_of(known: Known) -> str:
    return f"{known.epoch}.{known.version}.{known.cursor}"


def known_by(text: str) -> Known:
    """What an id tells; a reader with one that is none knows nothing."""
    epoch, _, rest = text.partition(".")
    version, _, cursor = rest.partition(".")
    return Known(epoch, int(version), cursor) if version.isascii() and version.isdigit() and len(version) < 19 else Known()


def frame(kind: str, data: Any, known: Known) -> bytes:
    """One event of the stream. JSON without spaces has no line break, which would end the event."""
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\nid: {id_of(known)}\ndata: {content}\n\n".encode()
