"""Who is calling: the operator, or the agent of one node. Tokens are known by their hashes alone."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from flask import g, request

from api.page.session import Sessions
from api.problems import BadRequest
from duckconf.errors import SetupError


@dataclass(frozen=True)
class Caller:
    """`node` is "" for the operator, who may do everything."""

    node: str = ""

    @property
    def operator(self) -> bool:
        return not self.node


class Tokens:
    """The file `tokens.json`: {"operator": hash, "nodes": {name: hash}}, SHA-256 in hex; read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when it cannot be read."""
        self._path = path
        self._lock = threading.Lock()
        self._stamp = 0
        self._callers: dict[str, Caller] = {}
        self._current()

    def caller(self, token: str) -> Caller | None:
        """None for a token that nobody has. It is looked up by its hash, so that a request costs the same with a thousand
        nodes as with one; how long that takes says nothing about a token, as nobody can choose a hash's beginning."""
        return self._current().get(hashlib.sha256(token.encode()).hexdigest())

    @property
    def mark(self) -> str:
        """Another one when the operator's token is."""
        return next(known for known, found in self._current().items() if found.operator)

    def _current(self) -> dict[str, Caller]:
        with self._lock:
            try:
                stamp = self._path.stat().st_mtime_ns
                if stamp != self._stamp:
                    content = json.loads(self._path.read_text("utf-8"))
                    nodes = {str(known): Caller(str(node)) for node, known in content["nodes"].items()}
                    self._callers, self._stamp = {str(content["operator"]): Caller(), **nodes}, stamp
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                if not self._callers:
                    raise SetupError(f"{self._path} cannot be read: {error}", "the role `control_plane` writes it") from error
            return self._callers


def authenticate(tokens: Tokens, sessions: Sessions) -> None:
    """Know the caller of this request, by a token or, in a browser, by the session that was given for it; raises BadRequest with
    401."""
    if "Authorization" not in request.headers and sessions.is_in_request():
        g.caller = Caller()
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    caller = tokens.caller(token.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        what = "is not a token of this cluster" if token else "is missing"
        raise BadRequest(HTTPStatus.UNAUTHORIZED, f"the token {what}; it should be sent as `Authorization: Bearer TOKEN`")
    g.caller = caller


def caller() -> Caller:
    """Who sent the current request."""
    found: Caller = g.caller
    return found


def require_operator() -> None:
    """Raises BadRequest with 403 for an agent."""
    if not caller().operator:
        raise BadRequest(
            HTTPStatus.FORBIDDEN, f"only the operator may do this; {caller().node} may read and report only its own apps"
        )


def require_node(*nodes: str) -> None:
    """Let the operator pass, and the agent of one of these nodes; raises BadRequest with 403."""
    if caller().node not in ("", *nodes):
        others = ", ".join(node for node in nodes if node) or "other nodes"
        raise BadRequest(HTTPStatus.FORBIDDEN, f"the token of {caller().node} is not valid for {others}")
