"""The hash of a spec, by which a changed container is told from one that stays: it never changes with a version."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.codec import runs_as, spec_hash, to_label
from duckconf.model import FIELDS, SPEC_FIELDS, App, parse_app
from tests.unit.test_model import FULL

PLACE = {"mode", "on", "max_per_node", "reserve_cpus", "reserve_memory"}
NO_SPEC = {
    "name",
    "stack",
    "depends_on",
    "routes",
    "pull_policy",
    "replicas",
    "update_config",
    "paused",
    "restart",
    "restart_policy",
    *PLACE,
}


def test_the_hash_changes_with_every_field_of_the_container_and_with_no_other_and_not_with_order() -> None:
    whole = spec_hash(parse_app(FULL))
    assert whole == spec_hash(parse_app(dict(reversed(FULL.items()))))
    # A route needs its port.
    with_it = {"ports": ("ports", "routes")}
    without = {
        gone: spec_hash(parse_app({key: value for key, value in FULL.items() if key not in with_it.get(gone, (gone,))}))
        for gone in FULL
        if gone != "image"
    }
    assert set(FULL) == set(FIELDS)
    assert {name for name, spec in without.items() if spec == whole} == set(FIELDS) - set(SPEC_FIELDS) == NO_SPEC
    assert len({*without.values(), spec_hash(App("nginx"))}) == len(set(SPEC_FIELDS) & set(FIELDS)) + 1


# As they were before fields were declared once. A container that runs with one of these is not replaced by an upgrade.
FROZEN: list[tuple[dict[str, Any], str]] = [
    ({"image": "nginx"}, "87132e95dfbdfe0f"),
    ({"image": "registry.example:5000/team/web:1.2", "name": "web"}, "f75eac9bd05e1b5d"),
    ({"image": "nginx", "command": ["sh", "-c", "echo $HOME; exit"]}, "e9a9b34fb9a10b52"),
    ({"image": "nginx", "env": {"B": "1", "A": "b=c", "E": ""}}, "3a03c28c81331025"),
    ({"image": "nginx", "ports": ["8080:80", "127.0.0.1:53:53/udp", "[::1]:1:2", "81:81/tcp"]}, "9a007de18c18089b"),
    ({"image": "nginx", "volumes": ["/srv/a b:/data:ro", "named:/x"]}, "655c7591e588ad93"),
    ({"image": "nginx", "cpus": 0.5}, "c914593937df3d94"),
    ({"image": "nginx", "cpus": 2.0}, "6ce8ffbf17821dc6"),
    ({"image": "nginx", "memory": "1024m"}, "c98df63039f26a1a"),
    ({"image": "nginx", "memory": "1g"}, "56c6f42df35a8bbc"),
    ({"image": "nginx", "memory": "536870912"}, "162c43eb026b299a"),
    ({"image": "nginx", "labels": {"team/x": "y z", "a": ""}}, "38a26bc504594add"),
    (
        {
            "image": "nginx",
            "name": "web",
            "command": ["a"],
            "env": {"A": "ü"},
            "ports": ["8081:80"],
            "volumes": ["data:/d"],
            "cpus": 1.5,
            "memory": "512m",
            "labels": {"x": "y"},
        },
        "1a7a50d5018a7d8d",
    ),
    ({"image": "x", "cpus": 0.5, "memory": "512m"}, "a0abce466941d345"),
    ({"image": "x", "cpus": 1, "memory": "1024m"}, "bc4b09cc79a81f16"),
]
SAME = [
    ("memory", "1024m", "1g"),
    ("memory", "512M", "512m"),
    ("memory", "512MiB", "536870912"),
    ("memory", "1.5g", "1536mb"),
    ("memory", 536870912, "512m"),
    ("cpus", "0.50", 0.5),
    ("cpus", 1, 1.0),
    ("ports", ["80:80/tcp"], ["80:80"]),
    ("ports", ["[0::1]:80:80"], ["[::1]:80:80"]),
    ("ulimits", {"nofile": 5}, {"nofile": {"soft": 5, "hard": 5}}),
    ("stop_grace_period", "90s", "1m30s"),
    ("cap_add", ["net_admin"], ["CAP_NET_ADMIN"]),
    ("security_opt", ["no-new-privileges:true"], ["no-new-privileges"]),
    ("security_opt", ["label:type:x"], ["label=type:x"]),
    ("shm_size", "1024m", "1g"),
    ("pull_policy", "always", "never"),
    ("healthcheck", {"test": "a b"}, {"test": ["CMD-SHELL", "a b"]}),
    ("healthcheck", {"tcp": 80, "interval": "60s", "retries": 3}, {"tcp": "80", "interval": "1m"}),
    ("healthcheck", {"disable": True}, {"test": ["NONE"]}),
    ("healthcheck", {"http": "/"}, {"http": "/:80"}),
]
OTHER: list[tuple[str, object, object]] = [
    ("ulimits", {"nofile": 5}, {"nofile": {"soft": 5, "hard": 6}}),
    ("entrypoint", [], ["a"]),
    ("init", True, None),
    ("healthcheck", {"tcp": 80}, {"http": "/:80"}),
    ("healthcheck", {"disable": True}, None),
    ("healthcheck", {"interval": "5s"}, {"interval": "6s"}),
    ("memory", "1g", "1025m"),
    ("cpus", "1", "1.5"),
    ("ports", ["80:80/udp"], ["80:80"]),
    ("ports", ["80"], ["80:80"]),
]


@pytest.mark.parametrize(("body", "spec"), FROZEN)
def test_the_hash_of_a_spec_never_changes(body: dict[str, Any], spec: str) -> None:
    assert spec_hash(parse_app(body)) == spec


@pytest.mark.parametrize(("field", "one", "other"), SAME)
def test_what_is_the_same_in_other_words_replaces_no_container(field: str, one: object, other: object) -> None:
    running, wanted = parse_app({"image": "a", field: one}), parse_app({"image": "a", field: other})
    assert runs_as(wanted, spec_hash(running), to_label(running))


@pytest.mark.parametrize(("field", "one", "other"), OTHER)
def test_what_differs_replaces_the_container(field: str, one: object, other: object) -> None:
    running, wanted = parse_app({"image": "a", field: one}), parse_app({"image": "a", field: other})
    assert not runs_as(wanted, spec_hash(running), to_label(running))
    assert not runs_as(wanted, spec_hash(running), "")
    assert not runs_as(wanted, spec_hash(running), "no manifest")
