"""Of which hosts a front has a certificate, as Caddy itself shows. Pure.

Caddy before 2.7 listens with a new configuration before it has loaded its certificates: for milliseconds after each change a
handshake fails. A certificate that is there it loads during the handshake, if its policy is `on_demand`. Such a policy renews at
handshakes too, without a pause after a failure: a host whose certificate is due, or has none, is left to the other policy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

# Seconds after which all are looked at again. The shortest lives have a third of hours left when they are due.
LOOK_AT_ALL = 1800.0
# Seconds until the first look at a certificate that is still being obtained; each next one takes twice as long.
FIRST = 0.5
LAST = 30.0


class Certificates:
    """`now` is in seconds of one clock."""

    def __init__(self) -> None:
        self.there: frozenset[str] = frozenset()
        """The hosts whose certificate is there and not due."""
        self._looked = float("-inf")
        self._pause = FIRST

    def to_look_at(self, hosts: Collection[str], now: float) -> Collection[str]:
        if now - self._looked < LOOK_AT_ALL:
            return frozenset(hosts) - self.there
        self._looked = now
        return hosts

    def learn(self, told: Mapping[str, bool]) -> None:
        """Of each host that has a certificate, whether it is good for a while. One that did not answer is as it was."""
        good = {host for host, is_good in told.items() if is_good}
        there = frozenset((self.there - told.keys()) | good)
        if there != self.there:
            self.there, self._pause = there, FIRST

    def next_look(self, hosts: Collection[str]) -> float | None:
        """Seconds until then; None when there is nothing to wait for."""
        if self.there.issuperset(hosts):
            self._pause = FIRST
            return None
        pause, self._pause = self._pause, min(LAST, 2 * self._pause)
        return pause
