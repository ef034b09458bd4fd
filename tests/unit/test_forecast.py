"""What `--dry-run` foretells: the steps of the loop's own decision, and what differs field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckconf.actions import Remove, Start
from duckconf.changes import Change, changes
from duckconf.cli.look.steps import expected_line, expected_lines
from duckconf.codec import spec_hash, to_label
from duckconf.decision import Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.forecast import MOST_ROUNDS, Forecast, after, forecast
from duckconf.instance import instances_of, slots_of
from duckconf.model import App
from duckconf.naming import declared_container
from duckconf.placement import Fleet, Placement
from duckconf.rollout import DONE, Revision, order_of, spec_only

NODES = ("node-1", "node-2", "node-3")
OLD = App("web:1", "web", replicas=3)


def running(app: App) -> tuple[Fleet, Memory]:
    """The app on three nodes, since long."""
    views: dict[str, tuple[Container, ...] | None] = dict.fromkeys(NODES, ())
    places: dict[str, Placement] = {}
    for one in slots_of(app):
        node, name = NODES[(one.slot - 1) % 3], declared_container("demo", one.name)
        made = Container("", name, node, app.name, spec_hash(app), app.image, "running", 0.0, 1, to_label(app), one.slot)
        views[node] = (*(views[node] or ()), made)
        places[one.name] = Placement(node, name, 1, spec=spec_hash(app))
    return Fleet(NODES, views), Memory(places, {}, history={"web": (Revision(1, spec_only(app), DONE),)})


def foretold(before: App, now: App) -> Forecast:
    fleet, memory = running(before)
    return forecast("demo", Desired(instances_of([now])), fleet, memory, 0.0, ["web"])


def in_words(found: Forecast) -> list[list[str]]:
    return [[str(one.step.action) for one in some] for some in found.rounds]


def test_an_update_starts_the_new_one_first_and_goes_on_when_it_is_ready() -> None:
    found = foretold(OLD, replace(OLD, image="web:2"))
    assert in_words(found)[:2] == [
        ["start web (web:2) on node-1"],
        ["remove duckconf-web from node-1", "start web.2 (web:2) on node-2"],
    ]
    assert (len(found.rounds), found.goes_on, dict(found.notes)) == (4, False, {})
    first = found.rounds[0][0]
    assert (first.before, first.after) == (1, 2)
    assert expected_line(first) == (
        "web: start web (web:2) on node-1, revision 1 → 2, because: duckconf-web on node-1 was started from another spec, "
        "and ends when this one is ready"
    )


def test_with_a_port_of_the_node_each_is_replaced_in_one_step() -> None:
    ported = replace(OLD, ports=("80:80",))
    found = foretold(ported, replace(ported, image="web:2"))
    assert in_words(found) == [[f"start {name} (web:2) on {node}"] for name, node in zip(("web", "web.2", "web.3"), NODES)]


def test_as_many_at_once_as_the_policy_says() -> None:
    found = foretold(OLD, replace(OLD, image="web:2", update_config={"parallelism": "0"}))
    assert len(found.rounds[0]) == 3


def test_what_is_not_changed_has_no_steps_and_a_paused_update_rests() -> None:
    assert foretold(OLD, OLD).rounds == ()
    assert foretold(OLD, replace(OLD, image="web:2", paused=True)).rounds == ()


def test_more_replicas_are_placed_and_fewer_removed() -> None:
    assert in_words(foretold(OLD, replace(OLD, replicas=4))) == [["start web.4 (web:1) on node-3"]]
    assert in_words(foretold(OLD, replace(OLD, replicas=2))) == [["remove duckconf-web_3 from node-3"]]


def test_what_finds_no_node_is_told_with_the_reason() -> None:
    found = foretold(OLD, replace(OLD, replicas=4, max_per_node=1))
    assert (found.rounds, list(found.notes)) == ((), ["web.4"])


def test_a_long_update_is_cut() -> None:
    app = replace(OLD, replicas=150)
    found = foretold(app, replace(app, image="web:2"))
    assert (len(found.rounds), found.goes_on) == (MOST_ROUNDS, True)


@given(st.integers(1, 5), st.integers(0, 5), st.booleans(), st.integers(1, 5))
@settings(max_examples=60)
def test_the_steps_lead_to_what_is_declared_and_leave_as_many_as_promised(
    before: int, parallelism: int, ported: bool, now: int
) -> None:
    ports = {"ports": ("80:80",)} if ported and max(before, now) <= len(NODES) else {}
    config = {"parallelism": str(parallelism)}
    old = replace(OLD, replicas=before, **ports)  # type: ignore[arg-type]
    new = replace(old, image="web:2", replicas=now, update_config=config)
    fleet, memory = running(old)
    desired = Desired(instances_of([new]))
    found = forecast("demo", desired, fleet, memory, 0.0, ["web"])
    for some in found.rounds:
        ends = sum(isinstance(one.step.action, Remove) or bool(ports and one.before) for one in some)
        assert ends <= max(parallelism or now, before - now) + (parallelism or now)
        fleet = after(fleet, (one.step.action for one in some))
    there = [copy for view in fleet.views.values() for copy in view or ()]
    assert sorted((copy.slot, copy.image) for copy in there) == [(slot, "web:2") for slot in range(1, now + 1)]


def test_the_first_round_is_what_the_loop_would_do_now() -> None:
    fleet, memory = running(OLD)
    desired = Desired(instances_of([replace(OLD, image="web:2")]))
    steps = decide("demo", desired, fleet, memory, 0.0).plan.steps
    assert tuple(one.step for one in forecast("demo", desired, fleet, memory, 0.0, ["web"]).rounds[0]) == steps
    assert isinstance(steps[0].action, Start)


@pytest.mark.parametrize(
    ("fields", "order", "word"),
    [
        ({}, "start-first", "no fixed port"),
        ({"ports": ("8080:80",)}, "stop-first", "port 8080"),
        ({"ports": ("80",)}, "start-first", "no fixed port"),
        ({"volumes": ("data:/data",)}, "stop-first", "data:/data"),
        ({"volumes": ("data:/data:ro",)}, "start-first", "writes no volume"),
        ({"network_mode": "host"}, "stop-first", "network_mode host"),
        ({"ports": ("80:80",), "update_config": {"order": "start-first"}}, "start-first", "update_config"),
    ],
)
def test_the_order_has_a_reason(fields: Mapping[str, object], order: str, word: str) -> None:
    found, why = order_of(replace(OLD, **fields))  # type: ignore[arg-type]
    assert (found, word in why) == (order, True)


def test_fields_are_compared_one_by_one_and_mappings_key_by_key() -> None:
    before = replace(OLD, env={"A": "1", "B": "2"}, memory="1g")
    now = replace(before, image="web:2", env={"B": "3", "C": "4"}, memory="1024m", replicas=5)
    assert changes(before, now) == [
        Change("image", "web:1", "web:2", True),
        Change("env.A", "1", None, True),
        Change("env.B", "2", "3", True),
        Change("env.C", None, "4", True),
        Change("memory", "1g", "1024m", False),
        Change("replicas", 3, 5, False),
    ]


def test_an_app_that_is_declared_again_has_no_changes() -> None:
    assert changes(OLD, replace(OLD)) == []


def test_an_update_of_instances_that_are_not_healthy_is_foretold_with_what_it_waits_for() -> None:
    checked = replace(OLD, healthcheck={"tcp": "80"}, ports=("80:80",))
    fleet, memory = running(checked)
    views = {
        node: tuple(replace(copy, health="healthy" if copy.slot == 1 else "starting") for copy in view or ())
        for node, view in fleet.views.items()
    }
    fleet, desired = replace(fleet, views=views), Desired(instances_of([replace(checked, image="web:2")]))
    found = forecast("demo", desired, fleet, memory, 0.0, ["web"])
    assert list(expected_lines(found))[:3] == [
        "1. waits until web.2 on node-2 is healthy (it is starting)",
        "   waits until web.3 on node-3 is healthy (it is starting)",
        f"   {expected_line(found.rounds[0][0])}",
    ]
    assert len(found.rounds) == 3
    # What waits for nothing that would follow is not told.
    same = forecast("demo", Desired(instances_of([checked])), fleet, memory, 0.0, ["web"])
    assert (same.rounds, dict(same.waits)) == ((), {})


def test_a_paused_update_says_how_far_it_stays() -> None:
    found = foretold(OLD, replace(OLD, image="web:2", paused=True))
    assert dict(found.rollouts) == {"web": "revision 2: 0 of 3 instances updated, paused"}
    assert dict(foretold(OLD, replace(OLD, image="web:2")).rollouts) == {}
