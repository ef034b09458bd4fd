"""Asks many nodes at once and gives one result per node, value or failure: the first failure does not win."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, Union

from duckconf.errors import DuckconfError

Value = TypeVar("Value")
Result = Union[Value, DuckconfError]

# Waiting costs a thread nothing, so every node gets its own: no number of frozen nodes can hold up the rest.
MOST_THREADS = 512


def ask_all(
    names: Iterable[str], ask: Callable[[str], Value], give_up: Callable[[], None] = lambda: None
) -> dict[str, Result[Value]]:
    """`ask(name)` for each name at once; DuckconfErrors become that name's result, anything else is raised.

    `give_up` is called first then, as when a person interrupts: it should end the wait of all that are still asking.
    """
    names = list(names)
    if not names:
        return {}

    def one(name: str) -> Result[Value]:
        try:
            return ask(name)
        except DuckconfError as error:
            return error

    with ThreadPoolExecutor(min(len(names), MOST_THREADS)) as pool:
        try:
            return dict(zip(names, pool.map(one, names)))
        except BaseException:
            give_up()
            raise
