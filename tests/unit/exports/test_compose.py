"""A compose file that was exported is one that the Spec allows, and applied again it is what is declared already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from duckconf.changes import changes
from duckconf.compose_file.loading import load
from duckconf.compose_file.stack import stack_of
from duckconf.compose_file.translation import translate
from duckconf.exports.compose import Compose
from duckconf.exports.lost import NOT_EXPORTED
from duckconf.model import DECLARED, App, parse_app
from duckconf.reach.stacks.files import reader_for
from duckconf.reach.stacks.schema import faults_of
from duckconf.reach.stacks.yaml_text import yaml_text
from tests.unit.test_compose import SOME, WORD

STACK = "shop"


def app(service: str, **body: Any) -> App:
    return parse_app({"image": "nginx", "name": f"{STACK}-{service}", "stack": STACK, **body}, placed=True)


def imported(apps: Mapping[str, App], values: Mapping[str, bytes] | None = None, stack: str = STACK) -> dict[str, App]:
    """What `apply` reads from what `export` writes."""
    known = values or {}
    written = Compose(apps, stack, known)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "compose.yaml").write_text(yaml_text(written.model()))
        for secret, path in written.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(known[secret])
        reader = reader_for(str(folder))
        model, variables = load(reader, [str(folder / "compose.yaml")], str(folder), {})
        assert faults_of(model) == []
        found = translate(stack_of(model, stack, variables, str(folder), []), reader, variables)
    assert [str(one) for one in found.refused] == []
    carried = {one.name: one.content for one in found.carried}
    assert carried == {secret: known[secret] for secret in written.files}
    return dict(found.apps)


def comes_back(*apps: App, **values: bytes) -> None:
    before = {one.name: one for one in apps}
    after = imported(before, {f"{STACK}.{name}": value for name, value in values.items()})
    assert after.keys() == before.keys()
    assert {name: changes(before[name], after[name]) for name in before} == {name: [] for name in before}


@pytest.mark.parametrize("field", sorted(DECLARED.keys() - NOT_EXPORTED.keys() - {"name", "stack", "image"}))
def test_each_field_comes_back_as_it_was_or_is_named_with_the_reason(field: str) -> None:
    declared = DECLARED[field]
    given_too = {"routes": {"ports": ["8080"]}, "healthcheck": {}}.get(field, {})
    comes_back(app("web", **{field: declared.example}, **given_too))
    comes_back(app("web", **{field: declared.example}, **given_too), app("db"))


def test_names_in_the_network_of_a_stack_come_back() -> None:
    together = {"network_mode": f"stack:{STACK}"}
    web = app("web-1", aliases=["Web_1", "front"], depends_on={"shop-db": "service_healthy"}, **together)
    comes_back(web, app("db", aliases=["db"], **together))
    comes_back(web)
    comes_back(app("db", aliases=["other"], **together), app("side", network_mode="host"), app("alone"))


@pytest.mark.parametrize(
    "uses",
    [
        ["shop.key:key"],
        ["shop.key:/etc/key,uid=3,gid=4,mode=0400", "other"],
        ["shop.ite.conf.0123456789ab:/etc/site.conf,mode=0644"],
        ["shop.key:env=KEY", "key:key"],
        ["shop.key,mode=0440,uid=3"],
    ],
)
def test_secrets_come_back_with_their_values_and_without(uses: list[str]) -> None:
    values = {"key": b"hunter2", "ite.conf.0123456789ab": b"site"}
    comes_back(app("web", secrets=uses))
    used = {name: value for name, value in values.items() if any(use.startswith(f"{STACK}.{name}") for use in uses)}
    comes_back(app("web", secrets=uses), **used)


def test_volumes_keep_their_names_there_and_here() -> None:
    comes_back(app("web", volumes=["shop_data:/a", "data:/b", "shop_other:/c:ro", "/srv/x:/d:ro,z"]))
    told = Compose({"shop-web": app("web", volumes=["shop_data:/a", "free:/b"])}, STACK).model()
    assert told["volumes"] == {"data": None, "free": {"name": "free"}}
    assert told["services"]["web"]["volumes"] == ["data:/a", "free:/b"]


def test_what_no_other_program_does_is_said() -> None:
    web = app("web", healthcheck={"http": "/up:80"}, on="web", secrets=["db:env=PASSWORD"], mode="global")
    written = Compose({"shop-web": web}, STACK)
    written.model()
    assert {lost.field for lost in written.lost} == {"healthcheck/http", "on", "secrets", "mode"}
    assert all(str(lost).startswith("shop-web: ") for lost in written.lost)


def test_apps_of_several_stacks_are_one_file_in_which_nothing_meets_that_did_not() -> None:
    apps = {
        "shop-web": app("web", network_mode="stack:shop", aliases=["web"]),
        "blog-web": parse_app(
            {"image": "x", "name": "blog-web", "stack": "blog", "network_mode": "stack:blog", "aliases": ["web"]}
        ),
        "lone": parse_app({"image": "x", "name": "lone"}),
    }
    told = Compose(apps, "").model()
    assert told["networks"] == {"shop": None, "blog": None}
    assert told["services"]["shop-web"]["networks"] == {"shop": {"aliases": ["web"]}}
    assert told["services"]["lone"]["network_mode"] == "bridge"


FURTHER: Mapping[str, st.SearchStrategy[Any]] = {
    "restart": st.sampled_from(["no", "always", "unless-stopped", "on-failure:3"]),
    "restart_policy": st.fixed_dictionaries(
        {"condition": st.sampled_from(["none", "on-failure", "any"])}, optional={"max_attempts": st.just("3")}
    ),
    "update_config": st.fixed_dictionaries({}, optional={"parallelism": st.just("2"), "healthy_deadline": st.just("9s")}),
    "memory": st.sampled_from(["6m", "1024m", "1g"]),
    "reserve_cpus": st.sampled_from([0.5, 2]),
    "reserve_memory": st.sampled_from(["1g", "9000000"]),
    "healthcheck": st.one_of(
        st.builds(lambda word: {"test": f"x {word}"}, WORD),
        st.builds(lambda word: {"test": ["CMD", word, "x"]}, WORD),
        st.sampled_from([{"http": "/$up:80", "interval": "1s"}, {"tcp": "80"}, {"disable": True}, {"test": ["NONE"]}]),
    ),
    "ports": st.lists(st.sampled_from(["80", "127.0.0.1:8080:81", "22:22", "53:53/udp"]), max_size=3, unique=True),
    "routes": st.lists(st.sampled_from(["a.example=80", "b.example/a,$b=80"]), max_size=2, unique=True),
}
BODIES = st.fixed_dictionaries({}, optional={**SOME, **FURTHER})


@settings(deadline=None, max_examples=60)
@given(st.lists(BODIES, min_size=1, max_size=2))
def test_any_values_come_back(bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        if body.get("routes"):
            body["ports"] = ["80"]
    comes_back(*(app(service, **body) for service, body in zip(("web", "db"), bodies)))


@given(WORD)
def test_text_is_text_to_every_reader_of_yaml(word: str) -> None:
    assert yaml.safe_load(yaml_text({"a": [word]})) == {"a": [word]}
