"""What is an app and what is not, and where the message points."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.codec import runs_as, spec_hash, to_json, to_label
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import absolute
from duckconf.model import DECLARED, App, parse_app

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "image"),
    ({"image": 7}, "image"),
    ({"image": "a", "color": "red"}, "color"),
    ({"image": "a", "name": "a" * 64}, "name"),
    ({"image": "a", "name": "-a"}, "name"),
    ({"image": "a", "command": "sh"}, "command"),
    ({"image": "a", "command": ["ok", 1]}, "command/1"),
    ({"image": "a", "command": ["a\0b"]}, "command/0"),
    ({"image": "a", "env": ["A=b"]}, "env"),
    ({"image": "a", "env": {"A": 1}}, "env/A"),
    ({"image": "a", "env": {"A=B": "x"}}, "env/A=B"),
    ({"image": "a", "env": {"A": "\ud800"}}, "env/A"),
    ({"image": "a", "ports": [80]}, "ports/0"),
    ({"image": "a", "ports": ["80-81:80"]}, "ports/0"),
    ({"image": "a", "ports": ["0:80"]}, "ports/0"),
    ({"image": "a", "ports": ["80:80", "65536:80"]}, "ports/1"),
    ({"image": "a", "ports": ["300.0.0.1:80:80"]}, "ports/0"),
    ({"image": "a", "volumes": ["relative/x:/y"]}, "volumes/0"),
    ({"image": "a", "volumes": ["/x"]}, "volumes/0"),
    ({"image": "a", "volumes": ["a\ud800/x:/b"]}, "volumes/0"),
    ({"image": "a", "ports": ["8080:80", "8081:80", "8080:81"]}, "ports/2"),
    ({"image": "a", "ports": ["8000-8010:80-90", "127.0.0.1:8005:1"]}, "ports/1"),
    ({"image": "a", "memory": "9" * 400}, "memory"),
    ({"image": "a", "cpus": True}, "cpus"),
    ({"image": "a", "cpus": 0}, "cpus"),
    ({"image": "a", "volumes": ["./data:/y"]}, "volumes/0"),
    ({"image": "a", "cpus": "many"}, "cpus"),
    ({"image": "a", "memory": "lots"}, "memory"),
    ({"image": "a", "memory": "0m"}, "memory"),
    ({"image": "a", "memory": "1k"}, "memory"),
    ({"image": "a", "memory": 6 * 1024**2 - 1}, "memory"),
    ({"image": "a", "volumes": ["a:/data", "b:/data/"]}, "volumes/1"),
    ({"image": "a", "volumes": ["a:/data", "/srv:/x/../data:ro"]}, "volumes/1"),
    ({"image": "a", "memory": True}, "memory"),
    ({"image": "a", "labels": {"node": "x"}}, "labels/node"),
    ({"image": "a", "labels": {"duckconf.app": "x"}}, "labels/duckconf.app"),
    ({"image": "a", "labels": {"a b": "x"}}, "labels/a b"),
    ({"image": "a", "labels": {"a=b": "x"}}, "labels/a=b"),
    ({"image": "a", "labels": {"": "x"}}, "labels/''"),
]
FULL: dict[str, Any] = {
    "image": "registry.example:5000/team/web:1.2@sha256:" + "a" * 64,
    "name": "web",
    "command": ["sh", "-c", "echo $HOME; exit"],
    "env": {"A": "b=c", "E": ""},
    "ports": ["8080:80", "127.0.0.1:53:53/udp", "[::1]:1:2"],
    "volumes": ["/srv/a b:/data:ro", "named:/x"],
    "cpus": 0.5,
    "memory": "512m",
    "labels": {"team/x": "y z"},
}


@pytest.mark.parametrize(("body", "path"), BAD)
def test_a_fault_is_found_at_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app(body)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "a b", "ports": ["x"], "zzz": 1})
    assert [fault.path for fault in caught.value.faults] == ["zzz", "image", "ports/0"]


@pytest.mark.parametrize("data", [None, [], "nginx", 3])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(BadInput):
        parse_app(data)


def test_a_full_app_survives_the_way_to_json_and_back() -> None:
    assert to_json(parse_app(FULL)) == FULL


def test_the_hash_changes_with_every_field_but_the_name_and_not_with_order() -> None:
    whole = spec_hash(parse_app(FULL))
    assert whole == spec_hash(parse_app(dict(reversed(FULL.items())))) == spec_hash(parse_app({**FULL, "name": "other"}))
    without = {
        spec_hash(parse_app({key: value for key, value in FULL.items() if key != gone})) for gone in FULL if gone != "image"
    }
    assert len(without | {spec_hash(App("nginx"))}) == len(FULL)
    assert whole in without


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
]
OTHER = [("memory", "1g", "1025m"), ("cpus", "1", "1.5"), ("ports", ["80:80/udp"], ["80:80"]), ("ports", ["80"], ["80:80"])]


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


@pytest.mark.parametrize("label", ["team/x", "a,b", "-x", "com.example.A:1", "ü"])
def test_a_label_has_any_name_that_engines_take(label: str) -> None:
    assert parse_app({"image": "a", "labels": {label: "x"}}).labels == {label: "x"}


@pytest.mark.parametrize("size", ["512m", "512M", "1.5g", "512MiB", "512 mb", "6291456b", "1T"])
def test_a_size_is_kept_as_it_was_typed(size: str) -> None:
    assert parse_app({"image": "a", "memory": size}).memory == size


def test_a_relative_volume_is_refused_with_an_absolute_path() -> None:
    with pytest.raises(BadInput, match=r"such as /srv/data:/y:ro, got \./data:/y:ro"):
        parse_app({"image": "a", "volumes": ["./data:/y:ro"]})


@pytest.mark.parametrize(
    ("volume", "proposed"),
    [
        ("./data:/y", "/home/me/data:/y"),
        ("../data:/y:ro", "/home/data:/y:ro"),
        ("a/b:/y", "/home/me/a/b:/y"),
        (".:/y", "/home/me:/y"),
        ("~/x:/y", ""),
        ("named:/y", ""),
        ("/x:/y", ""),
    ],
)
def test_a_relative_path_is_one_in_the_folder_where_it_was_typed(volume: str, proposed: str) -> None:
    assert absolute(volume, "/home/me") == proposed


@pytest.mark.parametrize("field", DECLARED)
def test_each_field_survives_the_way_through_a_cell_and_has_an_example_that_is_valid(field: str) -> None:
    declared = DECLARED[field]
    faults: list[Fault] = []
    value = declared.kind.check(field, declared.example, faults)
    assert value
    assert declared.kind.check(field, declared.kind.from_cell(declared.kind.cell(value)), faults) == value
    assert not faults
