"""What `./inv apply` says before it does anything."""

from __future__ import annotations

import pytest

from duckconf.cli.stacks.apply import as_data, in_order, say_plan
from duckconf.cli.stacks.planning import Planned
from duckconf.forecast import Forecast
from duckconf.model import App

OLD = {
    "shop-web": App("nginx:1", "shop-web", env={"PASSWORD": "hunter2", "GONE": "hunter3"}, stack="shop"),
    "shop-old": App("x", "shop-old", stack="shop"),
}
NEW = {
    "shop-web": App("nginx:2", "shop-web", env={"PASSWORD": "hunter4", "ADDED": "hunter5"}, replicas=2, stack="shop"),
    "shop-db": App("postgres", "shop-db", env={"PASSWORD": "hunter6"}, stack="shop"),
}


def test_the_plan_names_what_is_new_changed_and_gone_and_no_value_of_a_variable(capsys: pytest.CaptureFixture[str]) -> None:
    planned = Planned(OLD, NEW, frozenset(), ("shop.key",), Forecast())
    say_plan("shop", planned)
    assert capsys.readouterr().out.splitlines() == [
        "shop-db: new (postgres)",
        "shop-web: changed",
        "  image: nginx:1 → nginx:2",
        "  env.PASSWORD: another value",
        "  env.GONE: removed",
        "  env.ADDED: added",
        "  replicas: - → 2 (replaces no container)",
        "the secret shop.key: another value",
        "shop-old: gone from the file, withdrawn",
    ]
    data = as_data("shop", planned)
    assert (data["new"], data["gone"], data["secrets"]) == (["shop-db"], ["shop-old"], ["shop.key"])
    assert [change["field"] for change in data["changed"]["shop-web"]][:2] == ["image", "env.PASSWORD"]
    assert "hunter" not in str(data)


def test_a_stack_that_is_declared_so_already_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    planned = Planned(OLD, OLD, frozenset(), (), Forecast())
    say_plan("shop", planned)
    said = capsys.readouterr()
    assert (planned.nothing, said.out, said.err) == (True, "", "the stack shop is declared so already\n")


def test_another_content_of_a_file_is_told_by_where_the_app_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    before = App("nginx", "shop-web", secrets=("shop.a.0123456789ab:/etc/site.conf,mode=0644", "gone:env=TOKEN"), stack="shop")
    after = App("nginx", "shop-web", secrets=("shop.a.ba9876543210:/etc/site.conf,mode=0644", "key"), stack="shop")
    say_plan("shop", Planned({"shop-web": before}, {"shop-web": after}, frozenset(), (), Forecast()))
    assert capsys.readouterr().out.splitlines() == [
        "shop-web: changed",
        "  /etc/site.conf: another content, or owner and mode",
        "  TOKEN: removed",
        "  /run/secrets/key: added",
    ]


def test_what_a_service_waits_for_is_awaited_before_it() -> None:
    web = App("nginx", "shop-web", depends_on={"shop-migrate": "service_completed_successfully", "other-db": "service_started"})
    migrate = App("nginx", "shop-migrate", depends_on={"shop-db": "service_healthy"})
    apps = {app.name: app for app in (web, migrate, App("postgres", "shop-db"))}
    assert in_order(apps) == ["shop-db", "shop-migrate", "shop-web"]
