"""What a drain waits for: a start on another node that fails is tried again with pauses, and not for ever. What cannot move keeps
nothing else from moving."""

from __future__ import annotations

import time

from duckconf.beside import OWN_COPY
from duckconf.cli.terminal.say import say

# The pauses grow from one second: about six tries.
TRIED_FOR = 60.0


class Trying:
    """What is tried again so that `node` becomes empty. `stays` has the instances that are given up, each with the reason."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._said: set[tuple[str, str]] = set()
        self._since: dict[str, float] = {}
        self.stays: dict[str, str] = {}

    def moved(self) -> None:
        """Something left the node: the next ones are given as long."""
        self._since.clear()

    def cannot(self, name: str, why: str) -> None:
        if name not in self.stays:
            self.stays[name] = why
            say(f"  {name} stays on {self._node}: {why}")

    def failed(self, name: str, why: str, kind: str) -> None:
        """Say why it cannot move yet, once for each `kind` of reason. It is given up when that is so for too long, or when no
        later try could work."""
        if name in self.stays:
            return
        if OWN_COPY in why:
            # It stays there until the drain is over, and so does the reason.
            self.cannot(name, why)
            return
        now = time.monotonic()
        if now - self._since.setdefault(name, now) > TRIED_FOR:
            self.cannot(name, f"{why} (tried for {TRIED_FOR:g} s)")
        elif (name, kind) not in self._said:
            self._said.add((name, kind))
            say(f"  {name} stays on {self._node} for now: {why}; this is tried again for {TRIED_FOR:g} s")
