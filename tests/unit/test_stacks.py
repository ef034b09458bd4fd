"""Stacks as sets of apps: what they are, and what is in their way."""

from __future__ import annotations

import pytest

from duckconf.cli.stacks.listing import _row
from duckconf.errors import Conflict
from duckconf.model import App
from duckconf.stacks import clashes, of_stack, require_free

WEB = App("nginx", "shop-web", ports=("8080:80",), stack="shop")


def declared(*apps: App) -> dict[str, App]:
    return {app.name: app for app in apps}


def test_a_stack_has_the_apps_that_say_so() -> None:
    apps = declared(WEB, App("nginx", "blog-web", stack="blog"), App("nginx", "alone"))
    assert of_stack(apps, "shop") == {"shop-web": WEB}
    assert list(of_stack(apps, "blog")) == ["blog-web"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            App("x", "blog-web", ports=("8080:1",), stack="blog"),
            "the port 8080/tcp of the node is that of blog-web, which is",
        ),
        (App("x", "blog-web", ports=("8000-8100:8000-8100",), stack="blog"), "the port 8080/tcp of the node is that of blog-web"),
        (App("x", "shop-web", stack="blog"), "an app of this name is declared in the stack blog"),
        (App("x", "shop-web"), "an app of this name is declared and is part of no stack"),
    ],
)
def test_a_port_or_a_name_of_another_stack_is_in_the_way(other: App, words: str) -> None:
    with pytest.raises(Conflict, match=words):
        require_free("shop", declared(WEB), declared(other))


@pytest.mark.parametrize(
    "other",
    [
        App("x", "alone", ports=("8080:80",)),
        App("x", "blog-web", ports=("8080:80/udp",), stack="blog"),
        App("x", "blog-web", ports=("80",), stack="blog"),
        App("x", "blog-web", ports=("8080:80",), stack="blog", on="others"),
        App("x", "shop-old", ports=("8080:80",), stack="shop"),
    ],
)
def test_what_can_run_beside_it_is_not_in_the_way(other: App) -> None:
    assert clashes("shop", declared(WEB), declared(other)) == []


def test_two_services_of_a_stack_cannot_have_one_port() -> None:
    found = clashes("shop", declared(WEB, App("x", "shop-api", ports=("8080:1",), stack="shop")), {})
    assert [(clash.app, clash.words) for clash in found] == [("shop-api", "the port 8080/tcp of the node is that of shop-web")]


def test_a_route_leads_to_one_app_and_the_plan_says_so() -> None:
    web = App("nginx", "shop-web", ports=("80",), routes=("shop.example.org",), stack="shop")
    api = App("nginx", "shop-api", ports=("80",), routes=("shop.example.org/",), stack="shop")
    other = App("nginx", "alone", ports=("80",), routes=("SHOP.example.org",))
    assert [(clash.app, clash.words) for clash in clashes("shop", declared(web, api), declared(web))] == [
        ("shop-api", "the route shop.example.org leads to shop-web already")
    ]
    assert [clash.words for clash in clashes("shop", declared(web), declared(other))] == [
        "the route shop.example.org leads to alone already"
    ]


def test_the_status_of_a_stack_names_the_service_that_the_others_wait_for() -> None:
    def entry(name: str, status: str, health: str = "") -> dict[str, object]:
        return {"name": name, "image": "x", "status": status, "health": health, "replicas": 1, "ready": 0, "instances": []}

    waiting, sick, well = entry("a", "pending"), entry("b", "running", "unhealthy"), entry("c", "running", "healthy")
    assert [_row("shop", list(apps))["status"] for apps in ((waiting, sick, well), (waiting, well), (well,))] == [
        "unhealthy",
        "pending",
        "running",
    ]
    assert _row("shop", [entry("d", "running", "starting")])["status"] == "starting"
