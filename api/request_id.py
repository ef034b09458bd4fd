"""The id of a request: the one that the client gave it, or a new one. The answer and the events that it led to bear it."""

from __future__ import annotations

import re
import secrets

from flask import Response, g, has_request_context, request

HEADER = "X-Request-Id"
GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str:
    """Of the request that is being answered, "" outside of one."""
    if not has_request_context():
        return ""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if GIVEN.fullmatch(given) else secrets.token_hex(4)
    found: str = g.request_id
    return found


def named(answer: Response) -> Response:
    """The answer with the id of its request."""
    answer.headers[HEADER] = request_id()
    return answer
