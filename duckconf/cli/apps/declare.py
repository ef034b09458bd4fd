"""Declares an edit of an app that is there, on what the API shows of it: nobody else's change in between is lost."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from duckconf.by_revision import revision_from_json
from duckconf.edit import Edit, Edited, edited
from duckconf.model import FIELDS, parse_app
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of
from duckconf.rollout import History

# Each time somebody else was quicker.
TRIES = 10


def declare(api: ApiClient, name: str, edit: Edit) -> dict[str, Any]:
    """The app as the API shows it then. Raises BadInput, and ApiRefused."""
    tried = 0
    while True:
        entry, tried = api.call("GET", path_of("app", name)), tried + 1
        before = parse_app(fields_of(entry))
        made = edited(before, past_of(api, name), edit)
        try:
            answer = api.call("PUT", path_of("app", name), made.body(before), at=entry["revision"])
        except ApiRefused as refused:
            if tried == TRIES or refused.status != HTTPStatus.PRECONDITION_FAILED:
                raise
            continue
        say_edit(name, made)
        return answer


def say_edit(name: str, made: Edited) -> None:
    for words in made.said:
        print(f"{name}: {words}", file=sys.stderr)


def fields_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an app was declared with, of what the API tells of it."""
    return {name: entry[name] for name in FIELDS if name in entry}


def past_of(api: ApiClient, name: str) -> History:
    """Empty where the API keeps none."""
    try:
        told = api.call("GET", path_of("app", name, "history"))["revisions"]
    except ApiRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return ()
    return tuple(map(revision_from_json, told))
