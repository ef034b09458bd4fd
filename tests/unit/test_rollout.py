"""Rolling updates: what each slot runs next, from what is seen; and that a failing revision never replaces the last good one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.decisions import half_updated
from duckconf import edit
from duckconf.decision import decide
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.placement import Fleet
from duckconf.policies import policy_of
from duckconf.refusal import Refusal
from duckconf.rollout import DONE, FAILED, History, Revision, Rollout, SlotSeen, advance, spec_only, starts_first, trimmed

OLD, NEW, WORSE = App("web:1", "web", replicas=3), App("web:2", "web", replicas=3), App("bad:1", "web", replicas=3)
SERVED: History = (Revision(1, spec_only(OLD), DONE),)


def serving(app: App, seconds: float = 60.0) -> SlotSeen:
    return SlotSeen(Revision(0, spec_only(app)).spec, seconds, serves=True, alive=True)


def images(rollout: Rollout) -> list[str]:
    return [rollout.specs[slot].image for slot in sorted(rollout.specs)]


def test_the_first_revision_starts_everywhere_at_once_and_is_done_when_all_are_ready() -> None:
    first = advance(OLD, (), {1: SlotSeen(), 2: SlotSeen(), 3: SlotSeen()})
    assert (images(first), first.history[-1].outcome) == (["web:1"] * 3, "")
    ready = advance(OLD, first.history, dict.fromkeys((1, 2, 3), serving(OLD)))
    assert (ready.history[-1].outcome, ready.note) == (DONE, "")


def test_an_update_replaces_one_at_a_time_and_waits_until_it_is_ready() -> None:
    slots = dict.fromkeys((1, 2, 3), serving(OLD))
    one = advance(NEW, SERVED, slots)
    assert images(one) == ["web:2", "web:1", "web:1"]
    begun = replace(serving(NEW), ready_for=None, serves=True)
    assert images(advance(NEW, one.history, {**slots, 1: begun})) == ["web:2", "web:1", "web:1"]
    assert images(advance(NEW, one.history, {**slots, 1: serving(NEW)})) == ["web:2", "web:2", "web:1"]
    done = advance(NEW, one.history, dict.fromkeys((1, 2, 3), serving(NEW)))
    assert [(item.number, item.outcome) for item in done.history] == [(1, DONE), (2, DONE)]


def test_a_delay_lies_between_two() -> None:
    app = replace(NEW, update_config={"delay": "10s"})
    slots = {1: serving(NEW, 9.0), 2: serving(OLD), 3: serving(OLD)}
    assert images(advance(app, SERVED, slots)) == ["web:2", "web:1", "web:1"]
    assert images(advance(app, SERVED, {**slots, 1: serving(NEW, 10.0)})) == ["web:2", "web:2", "web:1"]


def test_what_does_not_serve_is_replaced_without_waiting() -> None:
    slots = {1: serving(OLD), 2: replace(serving(OLD), ready_for=None, serves=False, alive=False), 3: serving(OLD)}
    assert images(advance(NEW, SERVED, slots)) == ["web:1", "web:2", "web:1"]


def test_where_the_old_ends_before_the_new_starts_no_more_than_promised_are_away() -> None:
    ported = {"ports": ("80:80",), "replicas": 3}
    old, new = replace(OLD, **ported), replace(NEW, **ported)  # type: ignore[arg-type]
    history = (Revision(1, spec_only(old), DONE),)
    away = replace(serving(old), ready_for=None, serves=False, able=False)
    assert not starts_first(new)
    assert images(advance(new, history, {1: serving(old), 2: serving(old), 3: away})) == ["web:1"] * 3
    assert images(advance(new, history, dict.fromkeys((1, 2, 3), serving(old)))) == ["web:2", "web:1", "web:1"]


def test_a_failing_revision_is_taken_back_and_says_why() -> None:
    failing = replace(serving(WORSE), ready_for=None, serves=True, failure="no such image")
    back = advance(WORSE, SERVED, {1: failing, 2: serving(OLD), 3: serving(OLD)})
    assert (images(back), back.history[-1].outcome) == (["web:1"] * 3, FAILED)
    assert back.note == "revision 2 failed: no such image; revision 1 serves"
    assert images(advance(WORSE, back.history, dict.fromkeys((1, 2, 3), serving(OLD)))) == ["web:1"] * 3
    assert images(advance(NEW, back.history, dict.fromkeys((1, 2, 3), serving(OLD)))) == ["web:2", "web:1", "web:1"]


@pytest.mark.parametrize(
    ("action", "wanted"), [("pause", ["bad:1", "web:1", "web:1"]), ("continue", ["bad:1", "bad:1", "web:1"])]
)
def test_a_failing_revision_rests_or_goes_on_when_the_app_says_so(action: str, wanted: list[str]) -> None:
    app = replace(WORSE, update_config={"failure_action": action})
    failing = replace(serving(WORSE), ready_for=None, serves=True, failure="it ended 2 times")
    assert images(advance(app, SERVED, {1: failing, 2: serving(OLD), 3: serving(OLD)})) == wanted


@pytest.mark.parametrize("action", ["rollback", "pause", "continue"])
def test_a_first_revision_that_fails_ends_as_failed_is_tried_again_and_is_done_when_it_serves(action: str) -> None:
    app = replace(WORSE, update_config={"failure_action": action})
    failing = SlotSeen(Revision(0, spec_only(WORSE)).spec, failure="its check failed: refused")
    failed = advance(app, (), dict.fromkeys((1, 2, 3), failing))
    assert (failed.history[-1].outcome, failed.history[-1].why) == ("failed", "its check failed: refused")
    assert failed.note == "revision 1 failed: its check failed: refused; none has served before, so that it is tried again"
    assert images(failed) == ["bad:1"] * 3
    some = advance(app, failed.history, {1: serving(WORSE), 2: failing, 3: failing})
    assert (some.history, images(some)) == (failed.history, ["bad:1"] * 3)
    served = advance(app, some.history, dict.fromkeys((1, 2, 3), serving(WORSE)))
    assert (served.history[-1].outcome, served.history[-1].why, served.note) == ("done", "", "")


def test_what_follows_a_first_revision_that_failed_may_fail_too() -> None:
    past = (Revision(1, spec_only(WORSE), "failed", "no such image"),)
    failing = SlotSeen(Revision(0, spec_only(NEW)).spec, failure="it ended 2 times")
    found = advance(NEW, past, dict.fromkeys((1, 2, 3), failing))
    assert [(item.number, item.outcome) for item in found.history] == [(1, "failed"), (2, "failed")]
    assert images(found) == ["web:2"] * 3


def test_a_paused_update_leaves_each_instance_as_it_is() -> None:
    slots = {1: serving(NEW), 2: serving(OLD), 3: serving(OLD)}
    rests = advance(replace(NEW, paused=True), SERVED, slots)
    assert images(rests) == ["web:2", "web:1", "web:1"]
    assert rests.note == "revision 2: 1 of 3 instances updated, paused"


def test_what_runs_without_a_history_is_the_revision_before() -> None:
    found = replace(serving(OLD), found=spec_only(OLD))
    begun = advance(NEW, (), dict.fromkeys((1, 2, 3), found))
    assert [(item.number, item.app.image, item.outcome) for item in begun.history] == [(1, "web:1", DONE), (2, "web:2", "")]
    assert images(begun) == ["web:2", "web:1", "web:1"]


def test_a_new_slot_begins_with_what_serves_while_an_update_is_not_done() -> None:
    app = replace(NEW, replicas=4)
    assert images(advance(app, SERVED, {**dict.fromkeys((1, 2, 3), serving(OLD)), 4: SlotSeen()}))[3] == "web:1"


def test_ten_revisions_are_kept_and_always_the_last_that_served() -> None:
    past = (*SERVED, *(Revision(number, App(f"bad:{number}"), FAILED) for number in range(2, 15)))
    kept = trimmed(past)
    assert [item.number for item in kept] == [1, *range(6, 15)]


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ({}, True),
        ({"ports": ("80",)}, True),
        ({"ports": ("80:80",)}, False),
        ({"volumes": ("data:/data",)}, False),
        ({"volumes": ("data:/data:ro",)}, True),
        ({"volumes": ("/srv:/data:ro,z", "/x:/y:z")}, False),
        ({"network_mode": "host"}, False),
        ({"ports": ("80:80",), "update_config": {"order": "start-first"}}, True),
        ({"update_config": {"order": "stop-first"}}, False),
    ],
)
def test_the_new_one_starts_first_unless_both_want_the_same(more: dict[str, object], first: bool) -> None:
    assert starts_first(replace(OLD, **more)) is first  # type: ignore[arg-type]


def test_what_runs_and_is_not_ready_yet_is_not_taken_for_lost() -> None:
    starting = replace(serving(OLD), ready_for=None, serves=False)
    slots = dict.fromkeys((1, 2, 3), starting)
    assert images(advance(NEW, SERVED, slots)) == ["web:2", "web:1", "web:1"]
    ported = replace(NEW, ports=("80:80",))
    assert images(advance(ported, (Revision(1, spec_only(OLD), DONE),), slots)) == ["web:1"] * 3


def test_a_slot_without_a_place_or_on_a_silent_node_holds_up_no_verdict() -> None:
    ready = serving(NEW)
    away = replace(serving(OLD), able=False, ready_for=None, serves=False)
    done = advance(NEW, SERVED, {1: ready, 2: away, 3: SlotSeen()})
    assert [(item.number, item.outcome) for item in done.history] == [(1, DONE), (2, DONE)]


def test_a_revision_that_every_node_refuses_is_taken_back() -> None:
    slots = {1: replace(serving(OLD), refused="n1 refuses it: port 80 is in use"), 2: serving(OLD), 3: serving(OLD)}
    back = advance(NEW, SERVED, slots)
    assert (images(back), back.history[-1].outcome) == (["web:1"] * 3, FAILED)
    assert "n1 refuses it: port 80 is in use; revision 1 serves" in back.note


def test_what_served_before_cannot_fail() -> None:
    past = (*SERVED, Revision(2, spec_only(NEW)), Revision(3, spec_only(OLD)))
    ill = replace(serving(OLD), ready_for=None, failure="it is unhealthy")
    assert advance(OLD, past, {1: ill, 2: serving(OLD), 3: serving(OLD)}).history[-1].outcome == ""


def test_an_app_that_was_scaled_to_nothing_begins_with_what_is_wanted() -> None:
    assert images(advance(NEW, SERVED, dict.fromkeys((1, 2, 3), SlotSeen()))) == ["web:2"] * 3


def test_the_order_of_the_app_counts_also_for_a_revision_that_does_not_have_it() -> None:
    app = replace(NEW, update_config={"order": "stop-first"})
    away = replace(serving(OLD), ready_for=None, serves=False, able=False)
    assert images(advance(app, SERVED, {1: serving(OLD), 2: serving(OLD), 3: away})) == ["web:1"] * 3


def test_what_stays_starting_is_taken_back_and_updated_although_the_old_one_ends_first() -> None:
    first = {"update_config": {"order": "stop-first"}}
    old, worse, new = (replace(app, **first) for app in (OLD, WORSE, NEW))  # type: ignore[arg-type]
    stuck = SlotSeen(Revision(0, spec_only(worse)).spec, alive=True, failure="it is not ready after 300 s")
    past = (Revision(1, spec_only(old), DONE), Revision(2, spec_only(worse)))
    assert images(advance(worse, past, dict.fromkeys((1, 2, 3), stuck))) == ["web:1"] * 3
    # Nobody waits for the deadline of a revision that is not wanted any more.
    begun = replace(stuck, failure="")
    assert images(advance(new, past, {1: begun, 2: serving(old), 3: serving(old)})) == ["web:2", "web:1", "web:1"]
    assert images(advance(new, past[1:], dict.fromkeys((1, 2, 3), begun))) == ["web:2"] * 3


def test_what_is_about_to_give_way_in_its_place_does_not_count_as_serving() -> None:
    ported = {"update_config": {"order": "stop-first"}, "replicas": 2}
    old, new, newer = (replace(app, **ported) for app in (OLD, NEW, replace(NEW, image="web:3")))  # type: ignore[arg-type]
    past = (Revision(1, spec_only(old), DONE), Revision(2, spec_only(new)))
    holds = Revision(0, spec_only(old)).spec
    going = SlotSeen(Revision(0, spec_only(new)).spec, alive=True, holds=holds)
    # The second slot has begun with revision 2, and its old container is still there.
    assert images(advance(newer, past, {1: serving(old), 2: going})) == ["web:1", "web:3"]
    back = advance(old, (*past[:1], replace(past[1], outcome=FAILED)), {1: going, 2: going})
    assert images(back) == ["web:1", "web:1"]


@dataclass
class World:
    """A model of nodes: slots with the revision that they run and serve, moved on by dice."""

    app: App
    history: History = ()
    running: dict[int, str] = field(default_factory=dict)
    placed: dict[int, str] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)

    def look(self) -> dict[int, SlotSeen]:
        seen = {}
        for slot in range(1, self.app.replicas + 1):
            spec = self.placed.get(slot, "")
            bad = spec == BAD and slot in self.started
            up = self.running.get(slot) == spec and spec != "" and slot in self.started and not bad
            runs = slot in self.running
            failure = "it ended 2 times" if bad else ""
            seen[slot] = SlotSeen(spec, 9.0 if up else None, runs, runs, failure, able=slot not in self.silent)
        return seen


GOOD_SPECS = {Revision(0, App(f"web:{number}")).spec: number for number in range(4)}
BAD = Revision(0, App("bad:1")).spec


@settings(max_examples=100)
@given(st.data(), st.integers(1, 6), st.integers(0, 3), st.booleans())
def test_never_fewer_serve_than_promised_and_every_update_ends(
    data: st.DataObject, replicas: int, parallelism: int, first: bool
) -> None:
    order = {"order": "start-first" if first else "stop-first", "parallelism": str(parallelism)}
    world = World(App("web:0", "web", replicas=replicas, update_config=order))
    policy = policy_of(order, replicas)
    dice = st.integers(0, 5)
    for step in range(60):
        calm = step > 25
        if not calm and data.draw(dice) == 0:
            world.app = replace(world.app, image=data.draw(st.sampled_from(["web:0", "web:1", "web:2", "web:3", "bad:1"])))
        world.silent = set() if calm else {slot for slot in range(1, replicas + 1) if data.draw(dice) == 0}
        looked = world.look()
        rollout = advance(world.app, world.history, looked)
        world.history = rollout.history
        replaced = 0
        for slot, app in rollout.specs.items():
            spec = Revision(0, spec_only(app)).spec
            if world.placed.get(slot) != spec:
                replaced += slot in world.running and world.running[slot] != spec
                world.placed[slot] = spec
                world.started.discard(slot)
                if not first and world.running.get(slot) != spec:
                    world.running.pop(slot, None)
        assert replaced <= policy.parallelism
        if replaced and not first:
            serving = sum(seen.serves for seen in looked.values())
            assert serving - replaced >= replicas - policy.parallelism
        for slot in range(1, replicas + 1):
            if calm or data.draw(dice):
                world.started.add(slot)
                if world.placed[slot] != BAD:
                    world.running[slot] = world.placed[slot]
    good = [item for item in world.history if item.outcome == DONE]
    if world.app.image == "bad:1" and good:
        assert set(world.running.values()) == {good[-1].spec}
    elif world.app.image != "bad:1":
        assert set(world.running.values()) == {Revision(0, spec_only(world.app)).spec}
        assert world.history[-1].outcome == DONE


def test_the_slots_of_an_update_share_the_apps_of_their_specs() -> None:
    """A pass builds as many apps as there are specs, not as many as there are instances."""
    app = replace(NEW, replicas=50)
    slots = {number: serving(NEW if number < 25 else OLD) for number in range(1, 51)}
    rollout = advance(app, (*SERVED, Revision(2, spec_only(NEW))), slots)
    assert len({id(spec) for spec in rollout.specs.values()}) == 2
    assert all(spec.replicas == 50 for spec in rollout.specs.values())


def test_refusals_are_asked_for_once_per_app_and_not_once_per_slot_and_node() -> None:
    slots = 200
    desired, fleet, memory = half_updated(slots)
    asked = Counting(**{field.name: getattr(fleet, field.name) for field in fields(fleet)})
    assert decide("demo", desired, asked, memory, 1e6).plan.steps
    assert asked.refusals_asked < 10 * slots


class Counting(Fleet):
    refusals_asked = 0

    def refusal(self, node: str, instance: Instance) -> Refusal | None:
        object.__setattr__(self, "refusals_asked", self.refusals_asked + 1)
        return super().refusal(node, instance)


def test_a_new_value_of_a_secret_after_a_failed_update_reaches_what_serves_and_tries_nothing_again() -> None:
    def with_secret(image: str, value: str) -> App:
        return App(image, "web", replicas=3, secrets=("key",), secret_revisions={"key": value})

    good, failed = with_secret("web:1", "a"), with_secret("web:2", "a")
    past = (Revision(1, spec_only(good), DONE), Revision(2, spec_only(failed), FAILED, "it crashed"))
    slots = {number: serving(good) for number in (1, 2, 3)}
    after = advance(with_secret("web:2", "b"), past, slots)
    assert [(item.number, item.app.image, item.app.secret_revisions, item.outcome) for item in after.history[2:]] == [
        (3, "web:1", {"key": "b"}, "")
    ]
    assert sorted((app.image, app.secret_revisions["key"]) for app in after.specs.values()) == [
        ("web:1", "a"),
        ("web:1", "a"),
        ("web:1", "b"),
    ]
    rotated = {number: serving(with_secret("web:1", "b")) for number in (1, 2, 3)}
    done = advance(with_secret("web:2", "b"), after.history, rotated)
    assert [item.outcome for item in done.history] == [DONE, FAILED, DONE]
    assert done.note == "revision 2 failed: it crashed; revision 3 serves"
    # An edit builds on what serves, and what failed comes again when a person says so.
    assert serving_now(with_secret("web:2", "b"), done.history) == "web:1"
    again = advance(replace(with_secret("web:2", "b"), env={"A": "1"}), done.history, rotated)
    assert (again.history[-1].number, again.history[-1].app.image) == (4, "web:2")


def test_a_secret_that_what_serves_does_not_use_changes_nothing_after_a_failed_update() -> None:
    good, failed = App("web:1", "web"), App("web:2", "web", secrets=("key",), secret_revisions={"key": "a"})
    past = (Revision(1, spec_only(good), DONE), Revision(2, spec_only(failed), FAILED, "it crashed"))
    after = advance(replace(failed, secret_revisions={"key": "b"}), past, {1: serving(good)})
    assert (after.history, after.specs[1].image) == (past, "web:1")


def serving_now(declared: App, history: History) -> str:
    return edit.serving(replace(declared, secret_revisions={}), history)[1].image
