"""The decisions of the control loop: what is done, what is left alone and why, and that it comes to rest."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf import backoff, health
from duckconf.actions import Remove, Restart, Start
from duckconf.backoff import Tries
from duckconf.codec import spec_hash
from duckconf.decision import refused_in_place
from duckconf.desired import UNKNOWN, Desired
from duckconf.engine_output import Container
from duckconf.health import Health, judge
from duckconf.healthcheck import HEALTHY, STARTING, UNHEALTHY
from duckconf.instance import Instance, instances_of
from duckconf.model import App
from duckconf.placement import Assignment, Fleet, Load, Placement, assign, spread
from duckconf.plan import Plan, plan
from duckconf.refusal import Refusal
from duckconf.refusal_words import NO_SPACE, PATH, SPACE
from duckconf.spreading import Given, host_ports

NODES = ("n1", "n2", "n3")
WEB = App("nginx", "web")
HERE = Placement("n1", "c-web", 1, spec=spec_hash(WEB))


def container(app: App = WEB, node: str = "n1", name: str = "c-web", state: str = "running", generation: int = 1) -> Container:
    return Container(f"{node}/{name}", name, node, app.name, spec_hash(app), app.image, state, 0.0, generation)


def fleet(*containers: Container, silent: tuple[str, ...] = (), lost: tuple[str, ...] = ()) -> Fleet:
    views = {node: None if node in silent else tuple(c for c in containers if c.node == node) for node in NODES}
    return Fleet(NODES, views, lost)


def decide(desired: Desired, seen: Fleet, placements: dict[str, Placement], held: str = "") -> Plan:
    return plan(desired, seen, Assignment(placements), {"web": held} if held else {})


WANTED = Desired({"web": Instance(WEB)})
OTHER = App("nginx", "web", env={"A": "b"})
SICK = replace(container(), health=UNHEALTHY, said="its check failed 3 times in a row: exit code 1")
GOES = Remove("n2", "o")
CASES = [
    ("absent", WANTED, fleet(), Start("n1", "c-web", WEB, 1)),
    ("running", WANTED, fleet(container()), None),
    ("exited", WANTED, fleet(container(state="exited")), Restart("n1", "c-web", "web")),
    ("unhealthy", WANTED, fleet(SICK), Restart("n1", "c-web", "web", unhealthy=True)),
    ("not checked yet", WANTED, fleet(replace(container(), health=STARTING)), None),
    (
        "not checked yet, a copy elsewhere",
        WANTED,
        fleet(replace(container(), health=STARTING), container(node="n2", name="o")),
        None,
    ),
    ("healthy, a copy elsewhere", WANTED, fleet(replace(container(), health=HEALTHY), container(node="n2", name="o")), GOES),
    ("created only", WANTED, fleet(container(state="created")), Restart("n1", "c-web", "web")),
    ("drifted", WANTED, fleet(container(OTHER)), Start("n1", "c-web", WEB, 1)),
    ("paused by hand", WANTED, fleet(container(state="paused")), None),
    ("node silent", WANTED, fleet(silent=("n1",)), None),
    ("a copy elsewhere", WANTED, fleet(container(), container(node="n2", name="old")), Remove("n2", "old")),
    ("not desired", Desired(), fleet(container()), Remove("n1", "c-web")),
    ("not desired, file unreadable", UNKNOWN, fleet(container()), None),
    ("row unreadable", Desired(unreadable=frozenset({"web"})), fleet(container()), None),
    ("foreign", Desired(), fleet(replace(container(), app="")), None),
]


@pytest.mark.parametrize(("desired", "seen", "action"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_difference_has_its_action(desired: Desired, seen: Fleet, action: object) -> None:
    result = decide(desired, seen, {"web": HERE})
    assert [step.action for step in result.steps] == ([action] if action else [])
    assert all(step.reason for step in result.steps)


@pytest.mark.parametrize("seen", [fleet(), fleet(container(state="exited")), fleet(container(OTHER)), fleet(SICK)])
def test_an_app_that_is_held_back_waits_and_says_why(seen: Fleet) -> None:
    result = decide(WANTED, seen, {"web": HERE}, held="no such image")
    assert (result.steps, result.notes) == ((), {"web": "no such image"})


def test_an_unhealthy_app_that_is_never_restarted_is_left_as_it_is_and_says_why() -> None:
    once = replace(WEB, restart="no")
    result = decide(Desired({"web": Instance(once)}), fleet(replace(SICK, spec=spec_hash(once))), {"web": HERE})
    assert (result.steps, result.notes) == ((), {"web": "c-web is unhealthy and its restart policy is no"})


def test_a_stale_copy_stays_until_the_placed_one_runs() -> None:
    stale = container(node="n2", name="old")
    assert not any(isinstance(step.action, Remove) for step in decide(WANTED, fleet(stale), {"web": HERE}).steps)
    assert decide(WANTED, fleet(stale, container()), {"web": HERE}).steps[0].action == Remove("n2", "old")


def test_no_node_that_fits_says_why_in_numbers() -> None:
    seen = Fleet(NODES, {"n1": None, "n2": (), "n3": ()}, cordoned={"n2"})
    app = App("nginx", "web", ports=("8080:80",))
    node, reason = spread(Instance(app), seen, Load(given={"n3": Given(list(host_ports(app)))}), 0)
    assert (node, reason) == ("", "no node fits: 1 cordoned, 1 unreachable, 1 with port 8080/tcp taken")


def full(*nodes: str) -> dict[tuple[str, str], Refusal]:
    return {(node, "large"): Refusal(node, "large", "spec", SPACE, NO_SPACE, "", 99.0) for node in nodes}


def test_an_app_that_a_full_node_turned_away_goes_elsewhere_and_what_runs_there_stays() -> None:
    new = App("nginx", "new")
    kept = {"web": HERE, "new": Placement("n1", "c-new", 2)}
    seen = replace(fleet(container()), refusals=full("n1"))
    placed = assign(instances_of([WEB, new]), seen, kept, {"web": "c-web", "new": "c-new"}, 3, certain=True).placements
    assert placed["web"] == HERE
    assert placed["new"].node in ("n2", "n3")


def test_apps_that_run_nowhere_wait_without_a_place_when_all_nodes_are_full() -> None:
    seen = replace(fleet(), refusals=full(*NODES))
    result = assign(instances_of([WEB, App("nginx", "new")]), seen, {"web": HERE}, {"web": "w", "new": "n"}, 2, certain=True)
    assert result.placements == {}
    assert result.reasons == dict.fromkeys(("web", "new"), "no node fits: 3 with no space left on its disk")


def test_host_ports_tell_protocols_and_addresses_apart() -> None:
    held = [port.on_node for port in host_ports(App("x", ports=("8080:80", "127.0.0.1:53:53/udp", "[::1]:1:2")))]
    assert held == ["8080/tcp", "127.0.0.1:53/udp", "[::1]:1/tcp"]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("80:80", False),
        ("127.0.0.1:80:80", False),
        ("10.0.0.1:80:80", True),
        ("127.0.0.1:80:80/udp", True),
        ("127.0.0.1:79-81:79-81", False),
        ("0.0.0.0:80:8080", False),
    ],
)
def test_ports_are_compared_with_their_address_and_protocol(wanted: str, fits: bool) -> None:
    taken = {node: Given(list(host_ports(App("x", ports=("127.0.0.1:80:80",))))) for node in NODES}
    node, reason = spread(Instance(App("nginx", "web", ports=(wanted,))), fleet(), Load(given=taken), 0)
    assert (bool(node), "3 with port" in reason) == (fits, not fits)


@given(st.integers(1, 40), st.integers(0, 1000))
def test_apps_are_spread_evenly(count: int, generation: int) -> None:
    apps = instances_of(App("x", f"a{n}") for n in range(count))
    placed = assign(apps, fleet(), {}, {name: name for name in apps}, generation, certain=True).placements
    counts = [sum(place.node == node for place in placed.values()) for node in NODES]
    assert max(counts) - min(counts) <= 1
    assert len({place.generation for place in placed.values()}) == count


def test_an_app_of_a_lost_node_goes_elsewhere_under_a_new_name() -> None:
    moved = assign({"web": Instance(WEB)}, fleet(silent=("n1",), lost=("n1",)), {"web": HERE}, {"web": "c-web"}, 7, certain=True)
    assert moved.placements["web"].node in ("n2", "n3")
    assert moved.placements["web"] == Placement(moved.placements["web"].node, "c-web.7", 7, spec=spec_hash(WEB))


def test_a_silent_node_keeps_its_apps() -> None:
    kept = assign({"web": Instance(WEB)}, fleet(silent=("n1",)), {"web": HERE}, {"web": "c-web"}, 7, certain=True)
    assert kept.placements == {"web": HERE}


def test_a_running_copy_is_adopted_and_the_newest_generation_wins() -> None:
    copies = (container(generation=2), container(node="n2", name="new", generation=5))
    adopted = assign({"web": Instance(WEB)}, fleet(*copies), {}, {"web": "c-web"}, 1, certain=False)
    assert adopted.placements["web"].node == "n2"
    assert (
        assign({"web": Instance(WEB)}, fleet(copies[1]), {"web": HERE}, {"web": "c-web"}, 9, certain=True).placements["web"].node
        == "n2"
    )


def test_without_memory_an_unseen_app_waits_for_the_silent_node() -> None:
    waiting = assign({"web": Instance(WEB)}, fleet(silent=("n3",)), {}, {"web": "c-web"}, 1, certain=False)
    assert (waiting.placements, "n3" in waiting.reasons["web"]) == ({}, True)


def test_a_node_is_lost_after_the_timeout_and_not_before() -> None:
    state = judge(Health(), NODES, dict.fromkeys(NODES, 0.0), 0, 20)
    state = judge(state, NODES, {"n2": 19.0, "n3": 19.0}, 19, 20)
    assert (state.lost, health.next_verdict(state, ("n2", "n3"), 19, 20)) == (frozenset(), 1.0)
    state = judge(state, NODES, {"n2": 20.0, "n3": 20.0}, 20, 20)
    assert state.lost == {"n1"}
    assert judge(state, NODES, dict.fromkeys(NODES, 21.0), 21, 20).lost == frozenset()


def test_when_all_fall_silent_none_is_lost_and_each_gets_its_full_time_after() -> None:
    state = judge(Health(), NODES, dict.fromkeys(NODES, 0.0), 0, 20)
    state = judge(state, NODES, {}, 100, 20)
    assert (state.lost, state.braked) == (frozenset(), True)
    state = judge(state, NODES, {"n1": 101.0}, 101, 20)
    assert state.lost == frozenset()
    assert judge(state, NODES, {"n1": 120.9}, 120.9, 20).lost == frozenset()
    assert judge(state, NODES, {"n1": 121.0}, 121, 20).lost == {"n2", "n3"}


def test_over_half_of_five_pulls_the_brake_and_nodes_lost_before_do_not_count() -> None:
    five = ("a", "b", "c", "d", "e")
    state = judge(Health(), five, dict.fromkeys(five, 0.0), 0, 20)
    assert judge(state, five, {"d": 30.0, "e": 30.0}, 30, 20).lost == frozenset()
    two = judge(state, five, {"c": 30.0, "d": 30.0, "e": 30.0}, 30, 20)
    assert two.lost == {"a", "b"}
    assert judge(two, five, {"d": 60.0, "e": 60.0}, 60, 20).lost == {"a", "b", "c"}


def test_the_first_crash_heals_at_once_and_each_later_one_waits_twice_as_long() -> None:
    tries, waits = Tries("s"), []
    for _ in range(12):
        tries = backoff.after_start(tries, 100.0)
        waits.append(backoff.wait(tries, "s", 100.0))
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert backoff.wait(tries, "another spec", 100.0) == 0
    assert backoff.after_look(tries, 699.0) == tries
    assert backoff.wait(backoff.after_look(tries, 700.0), "s", 100.0) == 0
    assert backoff.after_look(tries, 700.0).restarts == 11


def test_a_refusal_waits_from_the_first_and_keeps_the_engines_words() -> None:
    tries = backoff.after_refusal(Tries("s"), 5.0, "no such image")
    assert (backoff.wait(tries, "s", 5.0), tries.words) == (1.0, "no such image")


STATE = st.sampled_from(["running", "exited", "created", "paused"])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Desired, Fleet, dict[str, Placement]]:
    names = ["a", "b", "c", ""]
    found: dict[tuple[str, str], Container] = {}
    for index in range(draw(st.integers(0, 7))):
        node, name = draw(st.sampled_from(NODES)), f"k{index}"
        app = App(draw(st.sampled_from(["x", "y"])), draw(st.sampled_from(names)))
        found[node, name] = container(app, node, name, draw(STATE), index)
    silent = draw(st.sets(st.sampled_from(NODES), max_size=2))
    lost = tuple(node for node in sorted(silent) if draw(st.booleans()))
    wanted = {name: App("x", name) for name in draw(st.sets(st.sampled_from("abc")))}
    desired = Desired(instances_of(wanted.values()), frozenset(draw(st.sets(st.sampled_from("de")))), draw(st.booleans()))
    placed = {name: Placement(draw(st.sampled_from(NODES)), f"c-{name}", 1) for name in draw(st.sets(st.sampled_from("abc")))}
    return desired, fleet(*found.values(), silent=tuple(silent), lost=lost), placed


@given(worlds(), st.randoms())
def test_the_plan_is_safe_repeatable_and_comes_to_rest(
    world: tuple[Desired, Fleet, dict[str, Placement]], shuffle: random.Random
) -> None:
    desired, seen, placements = world
    base = {name: f"c-{name}" for name in desired.instances}
    for _ in range(4):
        assignment = assign(desired.instances, seen, placements, base, 100, certain=True)
        result = plan(desired, seen, assignment, {})
        mixed = {node: None if view is None else tuple(shuffle.sample(view, len(view))) for node, view in seen.views.items()}
        assert plan(desired, replace(seen, views=mixed), assignment, {}) == result
        owners = {(c.node, c.name): c.app for view in seen.views.values() for c in view or ()}
        for step in result.steps:
            assert seen.views[step.action.node] is not None
            assert owners.get((step.action.node, step.action.container), step.app) == step.app != ""
            assert not (isinstance(step.action, Remove) and not desired.complete and step.app not in desired.instances)
        seen, placements = applied(result, seen), dict(assignment.placements)
    assert plan(desired, seen, assign(desired.instances, seen, placements, base, 200, certain=True), {}).steps == ()


@given(worlds(), st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from("abc"))))
def test_refusals_are_obeyed_move_nothing_that_runs_and_leave_nothing_without_a_reason(
    world: tuple[Desired, Fleet, dict[str, Placement]], refusing: set[tuple[str, str]]
) -> None:
    desired, seen, placements = world
    base = {name: f"c-{name}" for name in desired.instances}
    why = {(node, app): spec_hash(desired.instances[app].app) for node, app in refusing if app in desired.instances}
    refusals = {(node, app): Refusal(node, app, spec, PATH, "no path", "", 99.0) for (node, app), spec in why.items()}
    seen = replace(seen, refusals=refusals)
    for _ in range(4):
        running = {name: place for name, place in placements.items() if name in desired.instances and runs(name, place, seen)}
        assignment = assign(desired.instances, seen, placements, base, 100, certain=True)
        assert {name: assignment.placements[name] for name in running} == running
        held = refused_in_place(desired, seen, assignment.placements, 0.0)
        result = plan(desired, seen, assignment, held)
        starts = {(step.action.node, step.app) for step in result.steps if not isinstance(step.action, Remove)}
        assert not starts & refusals.keys()
        nowhere = desired.instances.keys() - assignment.placements.keys() - desired.unreadable
        assert all("no path" in result.notes[name] or "unreachable" in result.notes[name] for name in nowhere)
        seen, placements = applied(result, seen), dict(assignment.placements)
    final = assign(desired.instances, seen, placements, base, 200, certain=True)
    assert plan(desired, seen, final, refused_in_place(desired, seen, final.placements, 0.0)).steps == ()


def runs(name: str, place: Placement, seen: Fleet) -> bool:
    return any((copy.node, copy.name, copy.running) == (place.node, place.container, True) for copy in seen.copies.get(name, ()))


def applied(result: Plan, seen: Fleet) -> Fleet:
    """The model world after the plan."""
    views = {node: None if view is None else {c.name: c for c in view} for node, view in seen.views.items()}
    for step in result.steps:
        view = views[step.action.node]
        assert view is not None
        if isinstance(step.action, Start):
            act = step.action
            made = container(act.app, act.node, act.container, "running", act.generation)
            view[act.container] = replace(made, slot=act.slot)
        elif isinstance(step.action, Restart):
            view[step.action.container] = replace(view[step.action.container], state="running")
        else:
            del view[step.action.container]
    return replace(seen, views={node: None if view is None else tuple(view.values()) for node, view in views.items()})


def test_what_is_left_of_a_stack_on_a_node_goes_in_the_reverse_order_of_depends_on() -> None:
    db, web = App("db", "db"), App("web", "web", depends_on={"db": "service_started"})
    placements = {app.name: Placement("n1", app.name, 2, spec=spec_hash(app)) for app in (db, web)}
    here, old = (
        {app.name: container(app, "n1", app.name) for app in (db, web)},
        {app.name: container(app, "n2", f"old-{app.name}") for app in (db, web)},
    )
    wanted = Desired(instances_of([db, web]))

    def removed(*seen: Container) -> list[Remove]:
        found = decide(wanted, fleet(*seen), placements)
        assert all(isinstance(step.action, Remove) for step in found.steps)
        return [step.action for step in found.steps if isinstance(step.action, Remove)]

    assert removed(*here.values(), *old.values()) == [Remove("n2", "old-web")]
    assert removed(*here.values(), old["db"]) == [Remove("n2", "old-db")]
    assert removed(*here.values(), old["db"], replace(old["web"], state="exited")) == [
        Remove("n2", "old-db"),
        Remove("n2", "old-web"),
    ]
    found = decide(wanted, fleet(*here.values(), *old.values()), placements)
    assert found.notes["db"] == "stays on n2 until web has left it"
