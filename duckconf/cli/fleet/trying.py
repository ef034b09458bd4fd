"""A drain whose start on another node fails: it is tried again with pauses, which is waited for, and not for ever."""

from __future__ import annotations

import time

from duckconf.beside import OWN_COPY
from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError

# The pauses grow from one second: about six tries.
TRIED_FOR = 60.0


class Trying:
    """What is tried again so that `node` becomes empty."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._said: set[tuple[str, str]] = set()
        self._since: float | None = None

    def moved(self) -> None:
        """Something left the node: the next one is given as long."""
        self._since = None

    def failed(self, name: str, why: str, kind: str) -> None:
        """Say why it cannot move yet, once for each `kind` of reason. Raises DuckconfError when that is so for too long, or when
        no later try could work."""
        if OWN_COPY in why:
            # It stays there until the drain is over, and so does the reason.
            raise stuck(name, why, self._node)
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > TRIED_FOR:
            raise stuck(name, f"{why} (tried for {TRIED_FOR:g} s)", self._node)
        if (name, kind) not in self._said:
            self._said.add((name, kind))
            say(f"  {name} stays on {self._node} for now: {why}; this is tried again for {TRIED_FOR:g} s")


def stuck(name: str, why: str, node: str) -> DuckconfError:
    remedy = f"its container on {node} stays until then; to cancel the drain: ./inv uncordon {node}"
    return DuckconfError(f"{name} cannot move: {why}", remedy)
