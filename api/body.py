"""What a request says, checked for form: its JSON, its query, its preconditions. What it means is the model's matter."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import request

from api.problems import BadRequest
from duckconf.errors import BadInput, Fault

# Proxies and clients commonly give up after a minute.
LONGEST_WAIT = 55.0
# Many bindings, or the report of a node with hundreds of containers.
# A parameter of every read.
EVERYWHERE = "consistent"
LARGE_BODY = 4 * 1024 * 1024


def body() -> object:
    """The request's JSON; raises BadRequest with 415 or 400, or Flask's own 413."""
    if request.mimetype != "application/json":
        got = request.mimetype or "none"
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type should be application/json, got {got}")
    content = request.get_data(cache=False)
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body should be JSON in UTF-8, but is not UTF-8") from None
    except RecursionError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def is_wish(wanted: object, name: str) -> bool:
    """Whether a body is `{name: true}` and nothing else; to Python, 1 is as good. Raises BadInput for another value."""
    if not isinstance(wanted, dict) or wanted.keys() != {name}:
        return False
    if wanted[name] is not True:
        raise BadInput(Fault(name, f'should be true, as in {{"{name}": true}}'))
    return True


def query(*known: str) -> None:
    """Refuse a query parameter that would be passed over in silence; raises BadInput."""
    for name in request.args:
        if name not in (*known, EVERYWHERE):
            raise BadInput(Fault(name, f"is not a parameter of {request.path}; known are {', '.join(known) or 'none'}"))


def seconds(name: str) -> float:
    """A query parameter in seconds, 0 when it is absent, cut to LONGEST_WAIT; raises BadInput."""
    text = request.args.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BadInput(Fault(name, f"should be seconds such as 30, got {text!r}"))
    return min(value, LONGEST_WAIT)


def whole(name: str, default: int) -> int:
    """A query parameter that is a whole number, `default` when it is absent; raises BadInput."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput(Fault(name, f"should be a whole number, got {text!r}"))
    return int(text)


def expected_revisions() -> frozenset[str] | None:
    """The revisions that `If-Match` allows ("*" for any), None without that header; raises BadInput."""
    if "If-Match" not in request.headers:
        return None
    if request.if_match.star_tag:
        return frozenset({"*"})
    # What is no revision comes as None.
    found = frozenset(filter(None, request.if_match.as_set()))
    if not found:
        raise BadInput(Fault("If-Match", f"should be a revision in quotes, or *, got {request.headers['If-Match']!r}"))
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice in one object")
    return seen
