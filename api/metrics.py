"""What the API tells Prometheus, in its own text format: the cluster as the picture shows it, and what this server did."""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from duckconf.measures import Passes, actions_in, measures
from duckconf.picture import Picture
from duckconf.reach.state.journal import Journal

MEDIA_TYPE = CONTENT_TYPE_LATEST
# Seconds; `docker run` takes about 0.15, a skipped node 2.5, a pull minutes.
BUCKETS = (0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class Metrics:
    """One registry per app object, so that tests and servers do not share counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self._started = Counter("duckconf_apps_started", "Apps started in push mode, by node.", ["node"], registry=own)
        self._skipped = Counter("duckconf_nodes_skipped", "How often push mode skipped a node.", ["node"], registry=own)
        self._starts = Histogram("duckconf_start_seconds", "Time of one start in push mode.", buckets=BUCKETS, registry=own)
        self._answers = Counter("duckconf_http_answers", "Answers, by route and status.", ["route", "status"], registry=own)
        words = "Time of one answer; requests that wait for news are not meant."
        self._seconds = Histogram("duckconf_http_seconds", words, ["route"], buckets=ANSWER_BUCKETS, registry=own)
        self._held = Gauge("duckconf_watches", "Requests that are held open until there is news.", registry=own)
        self._streams = Gauge("duckconf_streams", "Readers of the live picture.", registry=own)

    def timing_a_start(self) -> AbstractContextManager[object]:
        return self._starts.time()

    def count_start(self, node: str, skipped: Iterable[str]) -> None:
        self._started.labels(node).inc()
        for other in skipped:
            self._skipped.labels(other).inc()

    def count_answer(self, route: str, status: int, seconds: float | None) -> None:
        """`seconds` is None for an answer that was held back until there was news."""
        self._answers.labels(route, status).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    def text(self, held: int, streams: int) -> bytes:
        self._held.set(held)
        self._streams.set(streams)
        return generate_latest(self.registry)


class ClusterNumbers(Collector):
    """The cluster at the moment of the question, and what was done in it since this server began."""

    def __init__(self, look: Callable[[], Picture], passes: Callable[[], Passes], journal: Journal) -> None:
        self._look = look
        self._passes = passes
        self._journal = journal
        self._cursor = journal.tail(0).cursor
        self._events = Counts[str]()
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        for measure in measures(self._look()):
            family = GaugeMetricFamily(measure.name, measure.words, labels=measure.labels)
            for labels, value in measure.values.items():
                family.add_metric(labels, value)
            yield family
        passes = self._passes()
        if passes.number:
            words = "The passes of the control loop until they had decided."
            yield SummaryMetricFamily("duckconf_pass_seconds", words, count_value=passes.number, sum_value=passes.seconds)
        events = self._counted()
        told = CounterMetricFamily("duckconf_events", "Events, by kind.", labels=("kind",))
        for kind, count in sorted(events.items()):
            told.add_metric((kind,), count)
        yield told
        done = CounterMetricFamily("duckconf_actions", "What was done on nodes, by result.", labels=("action", "result"))
        for labels, count in sorted(actions_in(events).items()):
            done.add_metric(labels, count)
        yield done

    def _counted(self) -> Counts[str]:
        with self._lock:
            page = self._journal.after(self._cursor)
            self._cursor = page.cursor
            self._events.update(event.kind for event in page.events)
            return Counts(self._events)
