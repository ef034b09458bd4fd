"""What a listing of nodes says of them."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.cli.look.node_table import empty_nodes


def row(name: str, apps: int | None, status: str = "ready", *, cordoned: bool = False) -> dict[str, Any]:
    return {"name": name, "apps": apps, "status": status, "cordoned": cordoned}


@pytest.mark.parametrize(
    ("rows", "empty"),
    [
        ([row("a", 3), row("b", 0)], ["b"]),
        ([row("a", 1), row("b", 0)], []),
        ([row("a", 0), row("b", 0)], []),
        ([row("a", 3), row("b", 0, "unreachable"), row("c", None, "unreachable")], []),
        ([row("a", 3), row("b", 0, cordoned=True)], []),
    ],
)
def test_a_ready_node_is_empty_where_others_have_several_apps(rows: list[dict[str, Any]], empty: list[str]) -> None:
    assert empty_nodes(rows) == empty
