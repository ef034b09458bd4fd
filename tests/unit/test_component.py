"""What scheduler and node-controller share: the watches that wake them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controllers import component as components
from controllers.component import Component
from duckconf.command import Secret
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.api.secret import read_token
from tests.unit.test_servers import DEADLINE, Server, two
from tests.waiting import until

__all__ = ["two"]


@contextmanager
def watching(token: Path, *servers: Server) -> Iterator[Component]:
    """A component that waits for news at the first server that is well."""
    urls = ",".join(server.url for server in servers)
    component = Component("scheduler", ControlConfig("demo", (), "", str(token), api_url=urls))
    component.watch("/slow?")
    try:
        yield component
    finally:
        component.end()


def waits_at(server: Server) -> bool:
    return any(asked.startswith("GET /slow?") for asked in server.asked)


def test_a_loop_does_not_wait_for_news_at_a_server_that_is_cut_off(two: tuple[Server, Server], tmp_path: Path) -> None:
    first, second = two
    token = tmp_path / "operator.token"
    token.write_text("op")
    with watching(token, first, second) as component:
        until("it waits there", lambda: waits_at(first))
        first.cut_off = True
        component.api().call("PUT", "/leases/scheduler", {}, deadline=DEADLINE)
        until("it waits at the other one", lambda: waits_at(second))


def test_a_loop_whose_token_cannot_be_read_watches_when_it_can(
    two: tuple[Server, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, tried = tmp_path / "operator.token", list[Path]()

    def read(path: Path) -> Secret:
        tried.append(path)
        return read_token(path)

    monkeypatch.setattr(components, "read_token", read)
    monkeypatch.setattr(components, "AGAIN", 0.01)
    with watching(token, two[0]):
        until("it was read in vain", lambda: len(tried) > 1)
        token.write_text("op")
        until("it waits there", lambda: waits_at(two[0]))
