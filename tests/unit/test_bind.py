"""Addresses that the API cannot be served on are told in one line."""

from __future__ import annotations

import pytest

from api.server import bind
from duckconf.errors import SetupError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:0",
        "http://[::1",
        "https://127.0.0.1:1",
        "x",
        "http://:80",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="should be http://HOST:PORT"):
        bind(url, 1)


@pytest.mark.parametrize("url", ["http://a..b:8080", "http://192.0.2.7:8080"])
def test_an_address_that_is_not_of_this_machine_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="cannot listen on"):
        bind(url, 1)
