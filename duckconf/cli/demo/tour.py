"""The narrated tours: they do what a person would type, and say what to see in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from duckconf.actions import Kill
from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.nodes import Cluster, app_row, open_cluster
from duckconf.cli.demo import script
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.stage import Stage
from duckconf.cli.look import control
from duckconf.cli.look import tasks as look
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_table
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, SetupError
from duckconf.events import Event, event_from_json
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient, path_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import journal
from duckconf.reach.state.journal import Journal

COLUMNS = ("app", "node", "state", "image")
EVENTS_AT_ONCE = 0.5


def tour_push(project: Project, stage: Stage) -> None:
    """From nothing to an app on each node, and one that stays down."""
    with stage.step(script.PUSH_UP):
        bring_up.up(project, modes.PUSH)
    client = ApiClient(project.settings.api_url)
    with stage.step(script.PUSH_START):
        started = [client.call("POST", "/app/start", {"image": WEB_IMAGE}) for _ in project.inventory().nodes]
        for answer in started:
            say(f"   POST /app/start → 201 {answer['app']} on {answer['node']}")
    with open_cluster(project) as cluster:
        with stage.step(script.PUSH_LIST):
            _show(cluster)
        victim = cluster.find(started[0]["app"])
        with stage.step(script.PUSH_CRASH, app=victim.app, node=victim.node):
            cluster.act(Kill(victim.node, victim.name))
            _show(cluster)
    say("\nNow by hand: ./inv start-app nginx · ./inv ps · ./inv stop-node node-2 · ./inv nodes · ./inv down")


def tour_reconcile(project: Project, stage: Stage) -> None:
    """From nothing to apps that come back: after a crash, after a lost node, and once when the node returns."""
    with stage.step(script.LOOP_UP):
        bring_up.up(project, modes.RECONCILE)
    client = ApiClient(project.settings.api_url)
    with open_cluster(project, keeps_trying=True) as cluster:
        tour = _Watched(project, cluster)
        with stage.step(script.LOOP_DECLARE):
            begun = time.monotonic()
            names = [client.call("POST", "/app/start", {"image": WEB_IMAGE})["app"] for _ in range(3)]
            say(f"   POST /app/start → 202 {', '.join(names)}: three rows in desired_state.csv")
            tour.until("they run", lambda: tour.copies_of(names) == [1, 1, 1])
            say(f"   declared and running after {time.monotonic() - begun:.2f} s\n")
            look.ps(project, "", as_json=False)
        victim = cluster.find(names[0])
        with stage.step(script.LOOP_CRASH, app=victim.app, node=victim.node):
            begun = time.monotonic()
            cluster.act(Kill(victim.node, victim.name))
            tour.until("it runs again", lambda: tour.copies_of(names) == [1, 1, 1])
            say(f"   killed and running again after {time.monotonic() - begun:.2f} s")
        tour.lose_a_node(names, stage)
    say("\nThe loop did all of this without a person. Its log, step by step: ./inv logs reconciler")
    say("Now by hand: ./inv start-app nginx --name web · ./inv diff · ./inv events -f · edit the CSV file · ./inv down")


def tour_agents(project: Project, stage: Stage) -> None:
    """From nothing to a cluster whose nodes help themselves: without the api-server, and after a node is lost."""
    with stage.step(script.AGENTS_UP):
        bring_up.up(project, modes.AGENTS)
    client = api_client(project)
    names = ["duck-1", "duck-2", "duck-3"]
    with stage.step(script.AGENTS_SUBMIT):
        apps = {app["name"] for app in client.call("GET", "/apps")["apps"]}
        tour = AgentTour(project)
        begun = time.monotonic()
        for name in names:
            if name not in apps:
                client.call("POST", "/app/start", {"name": name, "image": WEB_IMAGE})
        tour.until("the scheduler placed them and agents run them", lambda: tour.running(names))
        say(f"   submitted and running after {time.monotonic() - begun:.2f} s\n")
        look.ps(project, "", as_json=False)
    tour.crash(names[0], names, stage)
    tour.lose_a_node(names, stage)
    tour.without_the_api(names, stage)
    say("\nNow by hand: ./inv drain node-2 · ./inv logs agent@node-1 · ./inv events -f · ./inv up reconcile · ./inv down")


class AgentTour:
    """What the tour does to a cluster in agents mode, and what it waits for, with the events that lead there."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._api = api_client(project)
        self._cursor: str = self._api.call("GET", "/events?limit=0")["cursor"]

    def running(self, names: list[str]) -> bool:
        shown = {app["name"]: app["status"] for app in self._api.call("GET", "/apps")["apps"]}
        return all(shown.get(name) == "running" for name in names)

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SetupError(f"not within {seconds:g} s: {what}", "see `./inv events` and `./inv diff`")
            page = self._api.call("GET", f"/events?since={self._cursor}&wait={EVENTS_AT_ONCE:g}")
            self._cursor = page["cursor"]
            for entry in page["events"]:
                say(f"   {_line(event_from_json(entry))}")

    def crash(self, victim: str, names: list[str], stage: Stage) -> None:
        with open_cluster(self._project) as cluster:
            container = cluster.find(victim)
            with stage.step(script.AGENTS_CRASH, app=victim, node=container.node):
                begun = time.monotonic()
                cluster.act(Kill(container.node, container.name))
                self.until("it runs again", lambda: self._restarts(victim) > 0 and self.running(names))
                say(f"   killed and running again after {time.monotonic() - begun:.2f} s")

    def lose_a_node(self, names: list[str], stage: Stage) -> None:
        timeout = self._project.settings.node_timeout
        placed = {app["node"] for app in self._api.call("GET", "/apps")["apps"] if app["name"] in names}
        node = sorted(host.name for host in self._project.inventory().node_hosts() if host.demo and host.name in placed)[0]
        with frozen(self._project, node) as hosts:
            with stage.step(script.AGENTS_FREEZE, node=node, timeout=f"{timeout:g}"):
                begun = time.monotonic()
                hosts.freeze(node)
                self.until(
                    "its apps run on other nodes", lambda: self._away_from(node, names) and self.running(names), timeout + 60
                )
                say(f"   rescheduled and running {time.monotonic() - begun:.1f} s after the freeze")
            with stage.step(script.AGENTS_THAW, node=node):
                hosts.thaw(node)
                self.until("no app runs twice", lambda: self.once_each(names))
                look.ps(self._project, "", as_json=False)

    def without_the_api(self, names: list[str], stage: Stage) -> None:
        with open_cluster(self._project) as cluster:
            container = cluster.find(names[-1])
        with stage.step(script.AGENTS_ALONE, app=container.app, node=container.node):
            control.switch_api(self._project, on=False)
            try:
                say(f"   {container.node} reboots; {container.app} was stopped with it")
                DemoHosts(self._project).reboot(container.node)
                self._await_container(container.app)
            finally:
                control.switch_api(self._project, on=True)

    def _await_container(self, app: str) -> None:
        end = time.monotonic() + 60
        with open_cluster(self._project) as cluster:
            while time.monotonic() < end:
                found = [c for view in cluster.observe().values() if isinstance(view, tuple) for c in view if c.app == app]
                if any(container.running for container in found):
                    return
        raise SetupError(f"{app} did not come back within 60 s", "see `./inv logs agent@NODE`")

    def _restarts(self, name: str) -> int:
        return int(self._api.call("GET", path_of("app", name)).get("restarts", 0))

    def _away_from(self, node: str, names: list[str]) -> bool:
        return all(app["node"] not in ("", node) for app in self._api.call("GET", "/apps")["apps"] if app["name"] in names)

    def once_each(self, names: list[str]) -> bool:
        with open_cluster(self._project) as cluster:
            views = cluster.observe()
        if not all(isinstance(found, tuple) for found in views.values()):
            return False
        counted = Counter(c.app for found in views.values() if isinstance(found, tuple) for c in found if c.running)
        return [counted[name] for name in names] == [1] * len(names)


class _Watched:
    """A running cluster whose events are printed while the tour waits for what they lead to."""

    def __init__(self, project: Project, cluster: Cluster) -> None:
        self._project = project
        self._cluster = cluster
        self._journal = Journal(project.state / journal.FILE_NAME)
        self._cursor = self._journal.tail(0).cursor

    def copies_of(self, names: list[str]) -> list[int]:
        """How many running containers each app has, on the nodes that answer."""
        counted = Counter(container.app for container in self._running())
        return [counted[name] for name in names]

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Print what happens until the condition holds; raises SetupError when it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SetupError(f"not within {seconds:g} s: {what}", "see `./inv logs reconciler` and `./inv diff`")
            self._print(self._journal.wait(self._cursor, EVENTS_AT_ONCE))
        self._print(self._journal.after(self._cursor))

    def lose_a_node(self, names: list[str], stage: Stage) -> None:
        timeout = self._project.settings.node_timeout
        demo_nodes = [host.name for host in self._cluster.inventory.node_hosts() if host.demo]
        busy = sorted({container.node for container in self._running() if container.app in names})
        victim = next((node for node in busy if node in demo_nodes), None)
        if victim is None:
            raise DuckconfError("no demo node runs an app of the tour", "a real machine is not frozen from here")
        with frozen(self._project, victim) as hosts:
            with stage.step(script.LOOP_FREEZE, node=victim, timeout=f"{timeout:g}"):
                begun = time.monotonic()
                hosts.freeze(victim)
                self.until("its apps run on other nodes", lambda: self._placed_elsewhere(names, victim), timeout + 40)
                say(f"   rescheduled and running {time.monotonic() - begun:.1f} s after the freeze")
            with stage.step(script.LOOP_THAW, node=victim):
                hosts.thaw(victim)
                self.until("no app runs twice", lambda: self._all_answer() and self.copies_of(names) == [1, 1, 1])
                look.ps(self._project, "", as_json=False)

    def _all_answer(self) -> bool:
        """Only then are all copies counted."""
        return all(isinstance(found, tuple) for found in self._cluster.observe().values())

    def _placed_elsewhere(self, names: list[str], node: str) -> bool:
        here = {container.app for container in self._running() if container.node != node}
        return here >= set(names)

    def _running(self) -> list[Container]:
        views = self._cluster.observe().values()
        return [container for found in views if isinstance(found, tuple) for container in found if container.running]

    def _print(self, page: journal.Page) -> None:
        self._cursor = page.cursor
        for event in page.events:
            say(f"   {_line(event)}")


@contextmanager
def frozen(project: Project, node: str) -> Iterator[DemoHosts]:
    """A tour that ends early leaves no node frozen."""
    hosts = DemoHosts(project)
    try:
        yield hosts
    except BaseException:
        if names := hosts.thaw(node):
            say(f"   thawed again: {', '.join(names)}")
        raise


def _line(event: Event) -> str:
    about = f"{event.app}: " if event.app else ""
    return f"[{event.source}] {about}{event.message}"


def _show(cluster: Cluster) -> None:
    rows = [app_row(container) for found in cluster.observe().values() if isinstance(found, tuple) for container in found]
    print_table(rows, COLUMNS, "no apps")
