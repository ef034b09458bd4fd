"""Counters and timings in Prometheus' own text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = CONTENT_TYPE_LATEST
# Seconds; `docker run` takes about 0.15, a skipped node 2.5, a pull minutes.
BUCKETS = (0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """One registry per app object, so that tests and servers do not share counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._started = Counter("duckconf_apps_started", "Apps started, by node.", ["node"], registry=self._registry)
        self._skipped = Counter("duckconf_nodes_skipped", "How often a node was skipped.", ["node"], registry=self._registry)
        self._answers = Counter(
            "duckconf_http_answers", "Answers, by route and status.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram("duckconf_start_seconds", "Time of one app start.", buckets=BUCKETS, registry=self._registry)
        self._away = Gauge("duckconf_node_away", "1 while a node is unreachable.", ["node"], registry=self._registry)

        self._apps = Gauge("duckconf_apps", "Apps by state, as the loop last reported.", ["state"], registry=self._registry)

    def timing_a_start(self) -> AbstractContextManager[object]:
        return self._seconds.time()

    def count_start(self, node: str, skipped: Iterable[str]) -> None:
        self._started.labels(node).inc()
        for other in skipped:
            self._skipped.labels(other).inc()

    def count_answer(self, route: str, status: int) -> None:
        self._answers.labels(route, status).inc()

    def text(self, away: Mapping[str, bool], apps: Mapping[str, int]) -> bytes:
        """`away` has every known node and whether it is out of reach, `apps` how many apps are in each state."""
        for gauge, values in ((self._away, away), (self._apps, apps)):
            gauge.clear()
            for name, value in values.items():
                gauge.labels(name).set(value)
        return generate_latest(self._registry)
