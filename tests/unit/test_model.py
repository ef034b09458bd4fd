"""What is an app and what is not, and where the message points."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.codec import spec_hash, to_json
from duckconf.errors import BadInput
from duckconf.model import App, parse_app

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
    ({"image": "a", "ports": ["80"]}, "ports/0"),
    ({"image": "a", "ports": ["0:80"]}, "ports/0"),
    ({"image": "a", "ports": ["80:80", "65536:80"]}, "ports/1"),
    ({"image": "a", "ports": ["300.0.0.1:80:80"]}, "ports/0"),
    ({"image": "a", "volumes": ["relative/x:/y"]}, "volumes/0"),
    ({"image": "a", "volumes": ["/x"]}, "volumes/0"),
    ({"image": "a", "cpus": True}, "cpus"),
    ({"image": "a", "cpus": 0}, "cpus"),
    ({"image": "a", "memory": "lots"}, "memory"),
    ({"image": "a", "labels": {"node": "x"}}, "labels/node"),
    ({"image": "a", "labels": {"duckconf.app": "x"}}, "labels/duckconf.app"),
    ({"image": "a", "labels": {"-x": "x"}}, "labels/-x"),
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
