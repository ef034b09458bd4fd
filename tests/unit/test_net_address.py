"""Addresses before `:PORT`."""

from __future__ import annotations

import pytest

from duckconf.net_address import bracketed, with_port


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("web-1.example", "web-1.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("FD00:0:0:0:0:0:0:2", "[fd00::2]"),
        ("fe80::1%eth0", "[fe80::1%eth0]"),
    ],
)
def test_an_ipv6_address_stands_in_brackets_in_its_shortest_spelling(address: str, written: str) -> None:
    assert bracketed(address) == written
    assert bracketed(bracketed(address)) == written
    assert with_port(address, 22) == f"{written}:22"
