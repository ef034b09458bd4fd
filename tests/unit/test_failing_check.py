"""What an agent tells of a revision whose check fails: also after it has started the container again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from duckconf.codec import spec_hash
from duckconf.decision import Memory
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.healthcheck import HEALTHY, STARTING, UNHEALTHY
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement
from duckconf.readiness import Readiness
from duckconf.rolling import failures

DB = App("postgres", "db")
HOME = {"db": Placement("n1", "duckconf-db", 1, spec=spec_hash(DB))}


def told(health: str, said: str = "", spec: str = "") -> Mapping[str, str]:
    spec = spec or spec_hash(DB)
    seen = Container("id", "duckconf-db", "n1", "db", spec, "postgres", "running", 0.0, 1, health=health, said=said)
    fleet = Fleet(("n1",), {"n1": (seen,)})
    return failures(Desired(instances_of([DB])), fleet, HOME, Memory(HOME, {}), Readiness(fleet, {}, 0.0))


@pytest.mark.parametrize("health", [UNHEALTHY, STARTING])
def test_a_failed_check_is_told_until_a_later_one_has_passed(health: str) -> None:
    assert told(health, "exit code 1") == {"db": "duckconf-db on n1 is unhealthy: exit code 1"}
    assert told(HEALTHY) == {}


def test_a_first_check_that_is_waited_for_and_another_spec_are_no_failure() -> None:
    assert told(STARTING) == {}
    assert told(STARTING, "exit code 1", spec="0" * 16) == {}
