"""Services that find each other by name run on one node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controllers.scheduler import schedule
from duckconf.actions import Remove, Start
from duckconf.codec import spec_hash, to_label
from duckconf.command import Completed
from duckconf.engine_output import Container
from duckconf.instance import Instance, instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement, assign
from duckconf.reach.nodes.actuator import execute
from duckconf.together import anchor, gathered, needs_of_unit
from tests.fakes import FakeNode

NODES = ("n1", "n2", "n3")
WEB = App("web", "shop-web", network_mode="stack:shop", ports=("80:80",), stack="shop")
DB = App("db", "shop-db", network_mode="stack:shop", reserve_cpus=1.0, stack="shop")
CACHE = App("cache", "shop-cache", network_mode="stack:shop", stack="shop")
OTHER = App("x", "blog-web", network_mode="stack:blog", stack="blog")


def placed(
    apps: Sequence[App], before: dict[str, str] | None = None, nodes: Sequence[str] = NODES, **fleet: object
) -> tuple[dict[str, str], dict[str, str]]:
    """Where each instance is placed, and why not."""
    known = {name: Placement(node, name, 1, spec="") for name, node in (before or {}).items()}
    views = dict.fromkeys(nodes, ())
    instances = instances_of(apps)
    found = assign(instances, Fleet(nodes, views, **fleet), known, {name: name for name in instances}, 2, certain=True)  # type: ignore[arg-type]
    return {name: place.node for name, place in found.placements.items()}, dict(found.reasons)


def test_the_services_of_a_stack_are_placed_on_one_node_and_stacks_are_spread() -> None:
    where, _ = placed([WEB, DB, CACHE, OTHER])
    assert len({where[name] for name in ("shop-web", "shop-db", "shop-cache")}) == 1
    assert where["blog-web"] != where["shop-web"]


def test_one_more_goes_where_the_others_are() -> None:
    where, _ = placed([WEB, DB, CACHE], {"shop-db": "n3"})
    assert set(where.values()) == {"n3"}


def test_the_first_goes_where_all_of_them_fit() -> None:
    taken = App("x", "alone", ports=("80:80",))
    where, _ = placed([CACHE, WEB, taken], {"alone": "n1"}, ("n1", "n2"))
    assert (where["shop-cache"], where["shop-web"]) == ("n2", "n2")


def test_where_not_all_fit_on_a_node_none_is_placed() -> None:
    taken = App("x", "alone", ports=("80:80",))
    where, reasons = placed([CACHE, WEB, taken], {"alone": "n1"}, ("n1",))
    assert where == {"alone": "n1"}
    assert set(reasons) == {"shop-cache", "shop-web"}
    assert "with port 80/tcp taken" in reasons["shop-cache"]


def test_a_stack_on_a_lost_node_goes_elsewhere_as_a_whole() -> None:
    where, _ = placed([WEB, DB], {"shop-web": "n1", "shop-db": "n1"}, lost={"n1"})
    assert len(set(where.values())) == 1
    assert set(where.values()) <= {"n2", "n3"}


def test_data_on_a_node_decides_for_the_others() -> None:
    web, db = Instance(WEB), replace(Instance(DB), bound="n2", data="volume data")
    assert anchor(web, [web, db], {"shop-web": "n1"}) == "n2"
    assert anchor(web, [web, Instance(DB)], {"shop-db": "n3"}) == "n3"
    assert anchor(web, [web, Instance(OTHER)], {"blog-web": "n3"}) == ""


def test_all_that_a_stack_wants_of_a_node_is_counted() -> None:
    needs = needs_of_unit(Instance(CACHE), [Instance(CACHE), Instance(WEB), Instance(DB), Instance(OTHER)])
    assert (needs.name, needs.ports, needs.reserve_cpus) == ("shop-cache", ("80:80",), 1.0)


def test_the_scheduler_places_the_first_of_a_stack_and_the_others_follow() -> None:
    rows = [
        {"name": name, "status": "ready", "cordoned": False, "full": False, "apps": 0, "refusals": [], "ports": ports}
        for name, ports in (("n1", ["80/tcp"]), ("n2", []))
    ]
    plan = schedule([Instance(WEB), Instance(CACHE)], rows, 0)
    assert [(one["name"], one["node"]) for one in plan.bindings] == [("shop-cache", "n2")]
    assert plan.reasons == {}


def test_the_network_of_a_stack_is_made_before_a_container_and_dropped_after_it() -> None:
    node = FakeNode("n1", answers={"sh": Completed(0, "", "")})
    execute(Start("n1", "c", DB), "demo", node)
    made, run = (command.argv for command in node.asked if command.argv[0] == "sh" or "run" in command.argv[:2])
    assert (made[0], made[-2:]) == ("sh", ("duckconf-demo-stack-shop", "duckconf.cluster=demo"))
    assert "--network=duckconf-demo-stack-shop" in run
    execute(Remove("n1", "c"), "demo", node)
    assert node.asked[-1].argv == ("docker", "network", "rm", "duckconf-demo-stack-shop")


def test_an_app_of_no_stack_makes_and_drops_no_network() -> None:
    node = FakeNode("n1")
    execute(Start("n1", "c", App("nginx", "alone")), "demo", node)
    execute(Remove("n1", "c"), "demo", node)
    assert not [command for command in node.asked if "network" in " ".join(command.argv)]


APPS = (WEB, DB, CACHE, OTHER, replace(OTHER, name="blog-db"), App("x", "alone"))
EVENTS = st.lists(st.tuples(st.sampled_from(("lose", "return", "drain", "open")), st.sampled_from(NODES)), max_size=8)


@given(EVENTS)
def test_whatever_becomes_of_the_nodes_a_stack_is_on_one_of_them_in_the_end(events: list[tuple[str, str]]) -> None:
    lost: set[str] = set()
    draining: set[str] = set()
    known: dict[str, Placement] = {}
    for what, node in [("open", "n1"), *events]:
        if what in ("lose", "return"):
            lost = lost | {node} if what == "lose" else lost - {node}
        else:
            draining = draining | {node} if what == "drain" else draining - {node}
        if len(lost | draining) == len(NODES):
            return
        # One instance at a time leaves a node that is emptied.
        for _ in range(len(APPS) + 2):
            known = _after_a_pass(known, lost, draining)
        for stack in ("shop", "blog"):
            where = {known[app.name].node for app in APPS if app.stack == stack}
            assert len(where) == 1, (events, what, node, known)
            assert not where & (lost | draining)


def _after_a_pass(known: dict[str, Placement], lost: set[str], draining: set[str]) -> dict[str, Placement]:
    """Placements that follow when all that was placed runs."""
    instances = instances_of(APPS)
    views = {
        node: None
        if node in lost
        else tuple(_copy(known[name], instances[name]) for name in sorted(known) if known[name].node == node)
        for node in NODES
    }
    fleet = Fleet(NODES, views, lost, cordoned=draining, draining=draining)
    return dict(assign(instances, fleet, known, {name: name for name in instances}, 2, certain=True).placements)


def _copy(place: Placement, instance: Instance) -> Container:
    app = instance.app
    made = Container("", place.container, place.node, app.name, spec_hash(app), app.image, "running", 0.0)
    return replace(made, manifest=to_label(app), generation=place.generation)


def apart(**bound: str) -> dict[str, Instance]:
    """What those of a stack are told that run on n1, n2 and n3; the ones that are named have data there."""
    instances = instances_of([CACHE, DB, WEB, OTHER])
    for name, node in bound.items():
        instances[f"shop-{name}"] = replace(instances[f"shop-{name}"], bound=node, data="volume x")
    known = {"shop-cache": "n1", "shop-db": "n2", "shop-web": "n3", "blog-web": "n2"}
    kept = {name: Placement(node, name, 1, spec="") for name, node in known.items()}
    return dict(gathered(instances, kept, Fleet(NODES, dict.fromkeys(NODES, ()))))


def told(instances: dict[str, Instance]) -> dict[str, tuple[str, str]]:
    return {name.removeprefix("shop-"): (one.bound, one.leaves) for name, one in instances.items()}


def test_those_that_are_on_several_nodes_leave_for_the_one_of_the_first_or_of_the_data() -> None:
    assert told(apart()) == {"cache": ("n1", ""), "db": ("n1", "n2"), "web": ("n1", "n3"), "blog-web": ("", "")}
    assert told(apart(web="n3")) == {"cache": ("n3", "n1"), "db": ("n3", "n2"), "web": ("n3", ""), "blog-web": ("", "")}
    assert told(apart(web="n3", db="n2")) == {"cache": ("", ""), "db": ("n2", ""), "web": ("n3", ""), "blog-web": ("", "")}


def test_a_job_that_is_done_draws_nobody_to_the_node_where_it_ended() -> None:
    instances = instances_of([CACHE, DB, WEB])
    kept = {name: Placement("n2", name, 1) for name in instances}
    kept["shop-cache"] = Placement("n1", "shop-cache", 1, end="s:0:0")
    found = gathered(instances, kept, Fleet(NODES, dict.fromkeys(NODES, ())))
    assert told(dict(found)) == {"cache": ("", ""), "db": ("n2", ""), "web": ("n2", "")}


def test_they_are_brought_together_one_at_a_time() -> None:
    where = {"shop-cache": "n1", "shop-db": "n2", "shop-web": "n3"}
    instances = instances_of([CACHE, DB, WEB])
    rounds = 0
    while len(set(where.values())) > 1:
        views = {node: [copy(instances[name].app, node) for name, at in where.items() if at == node] for node in NODES}
        fleet = Fleet(NODES, {node: tuple(some) for node, some in views.items()})
        kept = {name: Placement(node, name, 1, spec=instances[name].spec) for name, node in where.items()}
        names = {name: name for name in instances}
        found = assign(gathered(instances, kept, fleet), fleet, kept, names, 2, certain=True).placements
        moved = [name for name, place in found.items() if place.node != where[name]]
        assert len(moved) == 1
        where[moved[0]], rounds = found[moved[0]].node, rounds + 1
    assert (where["shop-db"], rounds) == ("n1", 2)


def copy(app: App, node: str) -> Container:
    return Container(f"id-{app.name}", app.name, node, app.name, spec_hash(app), app.image, "running", 0.0, 1, to_label(app))
