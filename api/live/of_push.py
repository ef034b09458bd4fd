"""The picture of push mode, which observes nothing by itself: while somebody looks at the picture, the nodes are asked for what
runs there, over the connections that are open. The server decides nothing by what it sees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from api.push import Pusher
from duckconf import engine
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure
from duckconf.inventory import Host
from duckconf.picture import (
    ACTUATOR,
    COMPARATOR,
    RUNS,
    SENSOR,
    SETPOINT,
    AppSeen,
    Call,
    InstanceSeen,
    NodeSeen,
    Picture,
    Process,
    Step,
    counted,
)  # fmt: skip
from duckconf.reach.ssh.runner import SshRunner
from duckconf.report import READY, UNREACHABLE

# Seconds. An end of a container is told by the engine; the rest is looked for.
LOOK_EVERY = 2.0
AT_ONCE = 16
AGAIN = 1.0
# How long after the last look at the picture the nodes are still asked.
LINGERS = 10.0
CUT = "push mode has none: what runs is not observed, and nothing is repaired"


class OfPush:
    """`changed` is called when a node told of something new. `clock` is in seconds since the epoch."""

    def __init__(self, cluster: str, pusher: Pusher, changed: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._pusher = pusher
        self._changed = changed
        self._clock = clock
        self._seen: dict[str, tuple[Container, ...]] = {}
        self._failed: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._asking: set[str] = set()
        self._followed: set[str] = set()
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted = 0.0
        self._last: dict[str, Step] = {}
        self._calls: dict[str, Call] = {}

    def look(self) -> Picture:
        self._wanted = time.monotonic()
        away, cordoned = {**self._pusher.away(), **self._failed}, self._pusher.cordoned()
        nodes = {
            host.name: NodeSeen(
                UNREACHABLE if host.name in away else READY,
                away.get(host.name, ""),
                self._heard.get(host.name, 0.0),
                host.name in cordoned,
                demo=host.demo,
            )
            for host, _ in self._pusher.pairs().values()
        }
        instances = {seen.name: _instance(seen, nodes[node].status) for node in nodes for seen in self._seen.get(node, ())}
        apps = {name: AppSeen(one.image, running=int(one.status == "running")) for name, one in instances.items()}
        steps = {SENSOR: Step(absent=CUT), COMPARATOR: Step(absent=CUT), SETPOINT: Step(), ACTUATOR: Step(), **self._last}
        return Picture(
            self._cluster,
            "push",
            processes={"api": Process(RUNS, does=(SETPOINT, ACTUATOR))},
            nodes=counted(nodes, instances.values()),
            apps=apps,
            instances=instances,
            steps=steps,
            calls=dict(self._calls),
        )

    def due(self) -> float:
        return 1.0

    def watch(self) -> None:
        with self._lock:
            self._wanted = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_looking, name="looker", daemon=True)
                self._thread.start()
        self._woken.set()

    def asked(self, words: str) -> None:
        """Somebody asks for an app."""
        self._last = {**self._last, SETPOINT: Step(words, round(self._clock(), 3))}
        self._changed()

    def acts(self, key: str, node: str, words: str, *, done: bool) -> None:
        """Something is begun on a node, or is done."""
        now = round(self._clock(), 3)
        with self._lock:
            calls = {name: call for name, call in self._calls.items() if name != key}
            self._calls = calls if done else {**calls, key: Call(node, words, now)}
            self._last = {**self._last, ACTUATOR: Step(words, now, node)}
        self._woken.set()
        self._changed()

    def _keep_looking(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, "looker") as pool:
            while True:
                with self._lock:
                    if time.monotonic() - self._wanted > LINGERS:
                        self._thread = None
                        return
                self._woken.clear()
                for name, (host, runner) in self._pusher.pairs().items():
                    self._follow(name)
                    if name not in self._asking:
                        self._asking.add(name)
                        pool.submit(self._ask, name, host, runner)
                self._woken.wait(LOOK_EVERY)

    def _ask(self, name: str, host: Host, runner: SshRunner) -> None:
        before = self._seen.get(name), self._failed.get(name)
        try:
            self._seen[name] = self._pusher.observe(host, runner)
            self._failed.pop(name, None)
            self._heard[name] = round(self._clock(), 3)
        except NodeFailure as failure:
            self._failed[name] = failure.reason
        except DuckconfError as failure:
            self._failed[name] = str(failure)
        finally:
            self._asking.discard(name)
        if before != (self._seen.get(name), self._failed.get(name)):
            self._changed()

    def _follow(self, name: str) -> None:
        if name not in self._followed:
            self._followed.add(name)
            threading.Thread(target=self._follow_engine, args=(name,), name=f"events-{name}", daemon=True).start()

    def _follow_engine(self, name: str) -> None:
        """Look at once whenever a container ends there, as long as there is such a node and somebody looks."""
        while self._thread is not None and (pair := self._pusher.pairs().get(name)) is not None:
            host, runner = pair
            try:
                runner.follow(engine.endings(self._cluster, host.engine), lambda *_: self._woken.set())
            except (DuckconfError, OSError):
                self._woken.set()
            time.sleep(AGAIN)
        self._followed.discard(name)


def _instance(seen: Container, node_status: str) -> InstanceSeen:
    silent = node_status != READY
    return InstanceSeen(
        seen.app or seen.name,
        seen.slot,
        seen.node,
        UNREACHABLE if silent else seen.state,
        seen.name,
        seen.running and not silent,
        seen.health,
        seen.image,
        ports=tuple(seen.ports),
        started=seen.started,
    )
