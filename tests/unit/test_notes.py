"""What is said of several instances stands once."""

from __future__ import annotations

from duckconf.cli.look.notes import grouped
from duckconf.cli.look.picture import judged
from duckconf.codec import spec_hash
from duckconf.decision import Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.overview import overview
from duckconf.placement import Fleet, Placement
from duckconf.report import Report


def test_instances_with_one_reason_share_a_line_and_the_engines_words_are_not_repeated() -> None:
    words = "; the engine said: no such image"
    notes = [
        ("web", "no node fits"),
        ("db", f"held back for 3 s{words}"),
        ("web.2", "no node fits"),
        ("db.2", f"held back for 5 s{words}"),
    ]
    assert list(grouped(notes)) == [
        ("web, web.2", "no node fits"),
        ("db", f"held back for 3 s{words}"),
        ("db.2", "held back for 5 s; the engine said the same"),
    ]
    assert list(grouped([])) == []


def test_what_a_check_said_is_told_to_who_looks_without_the_words_of_the_loop() -> None:
    app = App("nginx", "web", restart="no")
    seen = Container("id", "c", "n1", "web", spec_hash(app), "nginx", "running", 0.0, 1, health=UNHEALTHY, said="exit code 1")
    fleet, desired = Fleet(("n1",), {"n1": (seen,)}), Desired(instances_of([app]))
    memory = Memory({"web": Placement("n1", "c", 1, spec=spec_hash(app))}, {})
    (row,) = overview(desired, fleet, decide("demo", desired, fleet, memory, 0.0), memory)
    assert row.note == "exit code 1; c is unhealthy and its restart policy is no"
    told = judged({"n1": (seen,)}, Report(apps=(row,)))["n1"]
    assert told == (seen,)
