"""Published ports: how they are written, and which two cannot be held on one node."""

from __future__ import annotations

import pytest

from duckconf.ports import Port, conflict, parse_held, parse_port

READ = [
    ("80", Port(80)),
    ("8080:80", Port(80, 8080)),
    ("8080:80/tcp", Port(80, 8080)),
    ("53:53/udp", Port(53, 53, "", "udp")),
    ("36412/sctp", Port(36412, None, "", "sctp")),
    ("127.0.0.1:8080:80", Port(80, 8080, "127.0.0.1")),
    ("127.0.0.1::80", Port(80, None, "127.0.0.1")),
    ("[::1]:1:2", Port(2, 1, "::1")),
    ("[::1]::2/udp", Port(2, None, "::1", "udp")),
    ("8000-8002:80-82", Port(80, 8000, "", "tcp", 3)),
    ("80-82", Port(80, None, "", "tcp", 3)),
    ("65535:65535", Port(65535, 65535)),
]
REFUSED = [
    "", ":80", "::80", "x", "0:80", "65536:80", "80:", "80:80:80", "300.0.0.1:80:80", "127.0.0.1:80", "[zz]:1:2", "[:::]:1:2",
    "82-80", "8000-8002:80", "80:80-82", "80:80/http", "80/", "1.2.3:80:80", "8080:80 ", "-1:80", "127.0.0.1:::80",
]  # fmt: skip
OVERLAPPING = [
    ("80:1", "80:2"),
    ("80:1", "127.0.0.1:80:2"),
    ("0.0.0.0:80:1", "10.0.0.1:80:2"),
    ("[::]:80:1", "10.0.0.1:80:2"),
    ("127.0.0.1:80:1", "127.0.0.1:80:2"),
    ("[0::1]:80:1", "[::1]:80:2"),
    ("[::ffff:127.0.0.1]:80:1", "127.0.0.1:80:2"),
    ("[::ffff:0.0.0.0]:80:1", "10.0.0.1:80:2"),
    ("8000-8002:80-82", "8002:1"),
    ("8000-8002:80-82", "8001-8009:1-9"),
]
APART = [
    ("80:1", "81:1"),
    ("80:1", "80:1/udp"),
    ("80:1/sctp", "80:1/udp"),
    ("127.0.0.1:80:1", "10.0.0.1:80:1"),
    ("[::1]:80:1", "127.0.0.1:80:1"),
    ("[::ffff:127.0.0.1]:80:1", "[::1]:80:1"),
    ("80", "80"),
    ("80", "80:80"),
    ("8000-8002:80-82", "8003:80"),
]


@pytest.mark.parametrize(("text", "port"), READ)
def test_a_port_is_read_and_written_back(text: str, port: Port) -> None:
    assert parse_port(text) == port
    assert parse_port(str(port)) == port
    assert str(port) == text.removesuffix("/tcp")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_port_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="should "):
        parse_port(text)


@pytest.mark.parametrize(("one", "other"), OVERLAPPING)
def test_ports_that_only_one_app_of_a_node_can_hold(one: str, other: str) -> None:
    wanted, taken = parse_port(one), parse_port(other)
    assert wanted.overlaps(taken)
    assert taken.overlaps(wanted)
    assert conflict([parse_port("1:1"), wanted], [taken]) == wanted
    assert parse_held(wanted.on_node).overlaps(parse_held(taken.on_node))


@pytest.mark.parametrize(("one", "other"), APART)
def test_ports_that_two_apps_of_a_node_can_hold(one: str, other: str) -> None:
    wanted, taken = parse_port(one), parse_port(other)
    assert not wanted.overlaps(taken)
    assert not taken.overlaps(wanted)
    assert conflict([wanted], [taken]) is None


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("8080:80", "8080/tcp"),
        ("127.0.0.1:53:53/udp", "127.0.0.1:53/udp"),
        ("[::1]:1:2", "[::1]:1/tcp"),
        ("8000-8002:80-82", "8000-8002/tcp"),
        ("80", ""),
    ],
)
def test_what_is_held_on_the_node_is_shown_without_the_container(text: str, held: str) -> None:
    assert parse_port(text).on_node == held
    if held:
        assert parse_held(held).on_node == held
