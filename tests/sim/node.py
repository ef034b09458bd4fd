"""A node of the simulator, with what is on its way to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.engines import Engine
from tests.sim.under_way import Job


@dataclass
class Node:
    """A node; each kind of absence has its end. A frozen one keeps what arrives in `inbox` until it thaws."""

    name: str
    engine: Engine
    slowness: float = 1.0
    frozen_until: float = 0.0
    unplugged_until: float = 0.0
    down_until: float = 0.0
    garbled_until: float = 0.0
    inbox: list[Callable[[], object]] = field(default_factory=list)
    queue: deque[Job] = field(default_factory=deque)
    working: int = 0
