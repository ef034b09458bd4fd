"""What is under way between the loop and its nodes: looks and actions. And what may never happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from controllers.cycle import Look
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, Unreadable
from duckconf.plan import Step

# Seconds in which the last words of a container are read.
LAST_WORDS = 0.5


class Violation(AssertionError):
    """Something happened that never may."""


@dataclass
class Seen:
    """A look: when it was asked for, and when the snapshot was taken that it answers with."""

    asked: float
    future: Look
    taken: float = 0.0

    @property
    def garbled(self) -> bool:
        return self.future.done() and isinstance(self.future.exception(), Unreadable)

    def containers(self) -> Union[tuple[Container, ...], None]:
        return self.future.result() if self.future.done() and self.future.exception() is None else None


@dataclass(eq=False)
class Job:
    """An action on its way. `told` is true once the loop knows that it succeeded."""

    step: Step
    process: int
    done: Callable[[Union[DuckconfError, None]], None]
    told: bool = False
    ended: bool = False
    dropped: bool = False
