"""Which instances are ready: healthy, or without a health check up for `monitor` seconds. Pure: the clock is an argument.

Since when a container that we started is up is known from its tries. One that was there before us counts as ready at once; one
that a start of ours is still busy with runs before its tries are counted, and is not ready yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from duckconf.backoff import Tries, wait
from duckconf.desired import Desired
from duckconf.durations import seconds_in
from duckconf.engine_output import Container
from duckconf.model import App
from duckconf.placement import Fleet
from duckconf.policies import HEALTHY_DEADLINE, policy_of


class Readiness:
    """The instances of one look.

    `now` is in seconds of the clock that the tries were counted with; `starting` are node and name of the containers whose start
    has not ended yet.
    """

    def __init__(self, fleet: Fleet, tries: Mapping[str, Tries], now: float, starting: Collection[tuple[str, str]] = ()) -> None:
        self._fleet = fleet
        self._tries = tries
        self._now = now
        self._starting = starting

    def seconds(self, copy: Container, app: App) -> float | None:
        """For how long the container has been ready; negative until then, None when it is not about to be."""
        if not copy.ready or (copy.node, copy.name) in self._starting:
            return None
        past = self._tries.get(copy.instance)
        if past is None or past.spec != copy.spec or not past.starts:
            return float("inf")
        monitor = 0.0 if copy.health else policy_of(app.update_config, app.replicas).monitor
        return self._now - past.since - monitor

    def is_ready(self, copy: Container, app: App) -> bool:
        seconds = self.seconds(copy, app)
        return seconds is not None and seconds >= 0

    def is_held_back(self, instance: str, spec: str) -> bool:
        """Whether its next start as this spec has to wait."""
        return wait(self._tries.get(instance), spec, self._now) > 0

    def left(self, instance: str, spec: str, app: App) -> float | None:
        """Seconds until the instance should be ready as this spec, None when it is or nobody knows since when it is not."""
        past = self._tries.get(instance)
        if past is None or past.awaited != spec or past.waits is None:
            return None
        return past.waits + deadline(app) - self._now

    def ready(self, desired: Desired) -> frozenset[tuple[str, str]]:
        """Node and name of each container that is ready."""
        return frozenset(
            (copy.node, copy.name)
            for name, instance in desired.instances.items()
            for copy in self._fleet.copies.get(name, ())
            if self.is_ready(copy, instance.app)
        )

    def due(self, desired: Desired) -> float | None:
        """Seconds until the next one is ready, or should be, None when none is about to be."""
        waits = [
            -seconds
            for name, instance in desired.instances.items()
            for copy in self._fleet.copies.get(name, ())
            if (seconds := self.seconds(copy, instance.app)) is not None and seconds < 0
        ]
        known = [(name, past.awaited) for name, past in self._tries.items() if name in desired.instances]
        late = [self.left(name, spec, desired.instances[name].app) for name, spec in known]
        return min([*waits, *(left for left in late if left is not None and left > 0)], default=None)


def deadline(app: App) -> float:
    """In how many seconds an instance should be ready."""
    policy = policy_of(app.update_config, app.replicas)
    return policy.healthy_deadline or HEALTHY_DEADLINE + policy.monitor + seconds_in(app.healthcheck.get("start_period", "0"))
