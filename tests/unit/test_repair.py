"""Unhealthy instances: at most as many are restarted at once as an update replaces, no more often than their policy allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from duckconf.backoff import Tries
from duckconf.codec import spec_hash
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.healthcheck import HEALTHY, STARTING, UNHEALTHY
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.placement import Fleet, Placement

WEB = App("web", "web", replicas=4)
SPEC = spec_hash(WEB)


def look(
    *health: str, app: App = WEB, tries: dict[int, Tries] | None = None, busy: tuple[int, ...] = (), now: float = 1000.0
) -> Decision:
    """Of slots with these verdicts."""
    names = [instance_name("web", slot) for slot in range(1, len(health) + 1)]
    copies = tuple(
        Container(name, name, "n1", "web", SPEC, "web", "running", 0.0, 1, slot=slot, health=verdict, said="its check failed")
        for slot, (name, verdict) in enumerate(zip(names, health), 1)
    )
    places = {name: Placement("n1", name, 1, spec=SPEC) for name in names}
    memory = Memory(
        places,
        {instance_name("web", slot): past for slot, past in (tries or {}).items()},
        busy={instance_name("web", slot) for slot in busy},
    )
    app = replace(app, replicas=len(health))
    return decide("demo", Desired(instances_of([app])), Fleet(("n1",), {"n1": copies}), memory, now)


def restarted(decision: Decision) -> list[str]:
    return [step.instance for step in decision.plan.steps]


def test_of_many_that_are_unhealthy_one_is_restarted_and_the_others_say_what_they_wait_for() -> None:
    decision = look(UNHEALTHY, UNHEALTHY, HEALTHY, UNHEALTHY)
    assert restarted(decision) == ["web"]
    assert decision.plan.notes["web.4"] == "its check failed; it is restarted after web, at most 1 at a time"


@pytest.mark.parametrize(("parallelism", "first"), [("2", ["web", "web.2"]), ("0", ["web", "web.2", "web.3"])])
def test_as_many_at_once_as_an_update_replaces(parallelism: str, first: list[str]) -> None:
    app = replace(WEB, update_config={"parallelism": parallelism})
    assert restarted(look(UNHEALTHY, UNHEALTHY, UNHEALTHY, app=app)) == first


def test_the_next_waits_until_the_one_before_has_a_verdict() -> None:
    again = Tries(SPEC, 1, 1, 990.0, 990.0, again=1, waits=990.0, awaited=SPEC)
    assert restarted(look(UNHEALTHY, UNHEALTHY, busy=(1,))) == []
    assert restarted(look(STARTING, UNHEALTHY, tries={1: again})) == []
    assert restarted(look(HEALTHY, UNHEALTHY, tries={1: again})) == ["web.2"]
    assert restarted(look(UNHEALTHY, UNHEALTHY, tries={1: replace(again, not_before=1010.0)})) == ["web.2"]


def test_the_one_with_the_fewest_tries_comes_first() -> None:
    assert restarted(look(UNHEALTHY, UNHEALTHY, tries={1: Tries(SPEC, 3, 3, 990.0, 990.0, again=3)})) == ["web.2"]


def test_one_that_never_has_a_verdict_and_one_that_starts_for_the_first_time_hold_up_no_other() -> None:
    stays = Tries(SPEC, 1, 1, 10.0, 10.0, again=1, waits=10.0, awaited=SPEC)
    assert restarted(look(STARTING, UNHEALTHY, tries={1: stays})) == ["web.2"]
    assert restarted(look(STARTING, UNHEALTHY, tries={1: Tries(SPEC, 1, 1, 990.0, 990.0, waits=990.0, awaited=SPEC)})) == [
        "web.2"
    ]


def test_restarts_for_being_unhealthy_count_for_the_policy_and_then_it_is_left() -> None:
    app = replace(WEB, restart="on-failure:2")
    tried = {times: Tries(SPEC, times, times, 0.0, 0.0, again=times - 1) for times in (2, 3)}
    assert restarted(look(UNHEALTHY, app=app, tries={1: tried[2]})) == ["web"]
    given_up = look(UNHEALTHY, app=app, tries={1: tried[3]})
    assert restarted(given_up) == []
    assert given_up.plan.notes["web"] == "its check failed; given up after 2 restarts"


def test_one_that_is_given_up_holds_up_no_other() -> None:
    app = replace(WEB, restart_policy={"condition": "any", "max_attempts": "1"})
    assert restarted(look(UNHEALTHY, UNHEALTHY, app=app, tries={1: Tries(SPEC, 0, 2, 0.0, 0.0)})) == ["web.2"]
