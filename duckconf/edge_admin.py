"""How Caddy's admin API is asked on an edge host: one command, by whoever may use its socket there. Pure.

The command loads a document unless it has that one already, and prints what Caddy says of its upstreams.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

from duckconf.command import Command, Completed
from duckconf.edge_config import ADMIN_SOCKET

DEADLINE = 20.0
# Python 3.9 on the edge host, and nothing else.
PROGRAM = """\
import http.client, json, socket, sys
def ask(method, path, body=None):
    talk = http.client.HTTPConnection("localhost", timeout=15)
    talk.sock = socket.socket(socket.AF_UNIX)
    talk.sock.settimeout(15)
    talk.sock.connect(sys.argv[1])
    talk.request(method, path, body, {"Host": "", "Content-Type": "application/json"})
    answer = talk.getresponse()
    return answer.status, answer.read().decode()
wanted, refused = sys.stdin.read(), ""
try:
    if wanted and json.loads(ask("GET", "/config/")[1]) != json.loads(wanted):
        status, words = ask("POST", "/load", wanted)
        refused = words if status != 200 else ""
    print(json.dumps({"refused": refused, "upstreams": json.loads(ask("GET", "/reverse_proxy/upstreams")[1])}))
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[1], error.strerror or error))
"""


@dataclass(frozen=True)
class Answer:
    """Why the document was `refused`, "" when it was not, and the upstreams that Caddy knows with their open requests."""

    refused: str
    upstreams: dict[str, int]


def asking(document: Optional[dict[str, Any]]) -> Command:
    """With a document, have Caddy run that; without one, ask only."""
    stdin = json.dumps(document, sort_keys=True).encode() if document is not None else b""
    return Command(("python3", "-c", PROGRAM, ADMIN_SOCKET), stdin, DEADLINE)


def read_answer(done: Completed) -> Answer:
    """Raises ValueError with what went wrong."""
    if not done.ok:
        raise ValueError(" ".join(done.stderr.split())[-300:] or f"python3 ended with {done.code}")
    try:
        told = json.loads(done.stdout)
        upstreams = {str(entry["address"]): int(entry["num_requests"]) for entry in told["upstreams"] or ()}
        return Answer(str(told["refused"]), upstreams)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its answer cannot be read: {error}") from error
