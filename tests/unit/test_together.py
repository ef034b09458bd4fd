"""Services that find each other by name run on one node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controllers.scheduler import schedule
from duckconf.instance import Instance, instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement, assign
from duckconf.together import anchor, whole

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
    needs = whole(Instance(CACHE), [Instance(CACHE), Instance(WEB), Instance(DB), Instance(OTHER)])
    assert (needs.name, needs.ports, needs.reserve_cpus) == ("shop-cache", ("80:80",), 1.0)


def test_the_scheduler_places_the_first_of_a_stack_and_the_others_follow() -> None:
    rows = [
        {"name": name, "status": "ready", "cordoned": False, "full": False, "apps": 0, "refusals": [], "ports": ports}
        for name, ports in (("n1", ["80/tcp"]), ("n2", []))
    ]
    plan = schedule([Instance(WEB), Instance(CACHE)], rows, 0)
    assert [(one["name"], one["node"]) for one in plan.bindings] == [("shop-cache", "n2")]
    assert plan.reasons == {}
