"""Holds the API of a mode to its own document: schemathesis makes requests of it, right and wrong ones, and compares each answer
with what the document says. All its checks run, on all operations."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import schemathesis
from flask import Flask
from schemathesis import Case, CheckContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

# Which fields go together, which secrets there are and what an image may be called is no matter of form, and a JSON schema does
# not say it: here a body of the right form may be refused with 422, when the answer says where (`names_what_is_wrong`).
WITH_AN_APP = ("/app/start", "/app/{name}", "/app/{name}/rollback", "/stacks/{name}", "/apps", "/rollouts", "/takeover")
# Nor who holds it now.
OF_A_LEASE = "/leases/{name}"
MEANING = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "409", "412", "422", "503"]},
}
# Who names another revision, or sends too much, is told that first.
REJECTED = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "503"]
WRONG = {"negative_data_rejection": {"expected-statuses": REJECTED}}
# No node answers, or none is meant: no fault of the server.
OF_A_NODE = ("/app/start", "/node/{node}/container/{container}/kill", "/node/{node}/container/{container}/log")
AWAY = {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]}}


SEND = WSGITransport.send
OF_A_NETWORK = ("max_redirects", "verify", "cert", "proxies")


@dataclass
class Held:
    """What was tried, and what did not hold: by operation and check, with a way to try it again."""

    cases: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)


@schemathesis.check
def names_what_is_wrong(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """A refusal of what was sent says where it is wrong and what would be right."""
    if response.status_code == 422:
        told: Any = response.json()
        assert told["detail"], f"says nothing: {told}"
        assert told.get("skipped") or all(error["message"] for error in told["errors"] or [{"message": ""}]), (
            f"says no place: {told}"
        )


def hold(app: Flask, *, cases: int, examples: int, token: str = "") -> None:
    """Asserts that the app keeps what its document says, in `cases` cases or more. `examples` are made for each operation, beside
    those that its schema leads to. Most cover the schema and are the same each time; the others follow from a seed, which is
    another one each time and is told: DUCKCONF_SEED=N makes the same requests again."""
    seed = int(os.environ.get("DUCKCONF_SEED") or random.SystemRandom().randrange(2**31))
    held = _held(app, examples, seed, token)
    told = f"seed {seed}, {held.cases} cases: {dict(held.phases)}, checks: {dict(held.checks)}"
    print(told)
    assert not held.failures, "\n\n".join((told, *(f"{what}\n{words}" for what, words in held.failures.items())))
    assert held.cases >= cases, told
    # Not all look at requests that the document promises nothing for.
    seldom = [name for name in schemathesis.checks.CHECKS.get_all_names() if held.checks[name] < cases / 2]
    assert not seldom, told


def _held(app: Flask, examples: int, seed: int, token: str) -> Held:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    config = SchemathesisConfig.from_dict(_settings(seed, examples, headers))
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config, headers=headers)
    held = Held()
    with mock.patch.object(WSGITransport, "send", _send):
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _count(event, held)
            elif isinstance(event, events.NonFatalError):
                held.failures[f"{event.label}: error"] = event.info.format()
            elif isinstance(event, events.FatalError):
                raise event.exception
    return held


def _send(transport: WSGITransport, case: Case[Any], **options: Any) -> Response:
    """What concerns a network means nothing in one process. Schemathesis 4.32 leaves it out, but not where it tries a call again
    without its token."""
    return SEND(transport, case, **{name: value for name, value in options.items() if name not in OF_A_NETWORK})


def _settings(seed: int, examples: int, headers: Mapping[str, str]) -> dict[str, Any]:
    operations: list[dict[str, Any]] = [{"include-path": path, "checks": MEANING} for path in (*WITH_AN_APP, OF_A_LEASE)]
    operations += [{"include-path": path, "checks": AWAY} for path in OF_A_NODE]
    generation = {"max-examples": examples, "no-shrink": True, "database": "none"}
    common = {"seed": seed, "checks": WRONG, "headers": dict(headers), "continue-on-failure": True}
    return {**common, "generation": generation, "operations": operations}


def _count(event: events.ScenarioFinished, held: Held) -> None:
    recorder = event.recorder
    held.cases += len(recorder.interactions)
    held.phases[event.phase.value] += len(recorder.interactions)
    for case, checks in recorder.checks.items():
        for check in checks:
            held.checks[check.name] += 1
            if check.failure_info is not None:
                failure, answer = check.failure_info.failure, recorder.interactions[case].response
                got = f"{answer.status_code} {answer.text[:500]}" if answer is not None else ""
                words = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample}\n{got}"
                held.failures.setdefault(f"{recorder.label}: {check.name}", words)
