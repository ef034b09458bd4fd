"""What the keeper of a front asks its Caddy, turn by turn."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.edge_turn import LOOK_EVERY, Applied, Ask, Known, next_ask, next_turn, parked
from duckconf.front import Serving
from duckconf.front_kinds import parse_route

WEB: Applied = ((Serving(parse_route("a.example.org"), "web", ()),), frozenset())
CALM = Known(WEB, WEB, learned=True, doubt=False, parked=(), lacks=False)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ({}, []),
        ({"wanted": None, "learned": False, "doubt": True}, []),
        ({"learned": False}, [Ask.LEARN]),
        ({"learned": False, "applied": None}, [Ask.LEARN, Ask.LOAD]),
        ({"doubt": True}, [Ask.REPEAT]),
        ({"doubt": True, "applied": None}, [Ask.LOAD]),
        ({"doubt": True, "parked": ("a:1",)}, [Ask.REPEAT, Ask.LOOK]),
        ({"applied": None, "parked": ("a:1",), "lacks": True}, [Ask.LOAD]),
        ({"parked": ("a:1",), "lacks": True}, [Ask.LOOK]),
        ({"lacks": True}, [Ask.CERTIFY]),
    ],
)
def test_a_turn_asks_what_is_not_known_and_then_one_thing(known: dict[str, Any], asked: list[Ask]) -> None:
    done: list[Ask] = []
    # Whatever it learns, a turn ends.
    while (ask := next_ask(CALM._replace(**known), done)) is not None:
        done.append(ask)
    assert done == asked


def test_the_next_turn_is_soon_while_something_leaves_or_is_to_be_told() -> None:
    assert [next_turn(CALM._replace(**known)) for known in ({}, {"parked": ("a:1",)}, {"applied": None}, {"lacks": True})] == [
        None,
        LOOK_EVERY,
        LOOK_EVERY,
        None,
    ]


def test_what_leaves_is_waited_for_until_it_is_wanted_again() -> None:
    assert parked(("a:1",), ("b:1", "c:1"), ("c:1", "d:1")) == {"a:1", "b:1"}
    assert parked(("a:1",), ("b:1",), ("a:1", "b:1")) == set()
