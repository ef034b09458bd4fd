"""What can be done to a node, as plain values: they can be printed, counted, compared and executed.

Deciding on them is pure code; `reach/nodes/actuator.py` executes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from duckconf.model import App
from duckconf.naming import instance_name


@dataclass(frozen=True)
class Pin:
    """An image by what it is: its id, and the names with digest by which it can be pulled, None while nobody has asked."""

    id: str
    digests: Optional[tuple[str, ...]] = None

    @property
    def reference(self) -> str:
        return f"sha256:{self.id}"


@dataclass(frozen=True)
class Start:
    """Run slot `slot` of `app` on `node` as a new container, in place of one of ours with the same name. The higher
    `generation` is the newer placement; 0 where nobody keeps count. `pin` is the image to run, None for what the app's tag
    means on the node; `fresh` asks a registry first what that is."""

    node: str
    container: str
    app: App
    generation: int = 0
    slot: int = 1
    pin: Optional[Pin] = None
    fresh: bool = False

    def __str__(self) -> str:
        return f"start {instance_name(self.app.name, self.slot)} ({self.app.image}) on {self.node}"


@dataclass(frozen=True)
class Restart:
    """Start a container that exited, as it is: its spec is right and its logs stay. One that is `unhealthy` runs, and is
    stopped first."""

    node: str
    container: str
    instance: str
    unhealthy: bool = False

    def __str__(self) -> str:
        if self.unhealthy:
            return f"restart {self.instance} on {self.node}"
        return f"start {self.instance} again on {self.node}"


@dataclass(frozen=True)
class Remove:
    """Stop the container with its normal grace and remove it."""

    node: str
    container: str

    def __str__(self) -> str:
        return f"remove {self.container} from {self.node}"


@dataclass(frozen=True)
class Kill:
    """End the container's process at once and leave the rest as it is: what a crash looks like."""

    node: str
    container: str

    def __str__(self) -> str:
        return f"kill {self.container} on {self.node}"


Action = Union[Start, Restart, Remove, Kill]
