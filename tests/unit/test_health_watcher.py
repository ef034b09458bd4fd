"""The watcher with a `docker` that is a file: as a part of this process, and as the program that the loop sends to nodes."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest

from controllers.checks import Checks, Line
from duckconf.engine_output import Container
from duckconf.events import Event
from duckconf.healthcheck import HEALTHY, NO_CHECK, STARTING, UNHEALTHY
from duckconf.reach.nodes.watcher import Target, Verdict, Watcher
from duckconf.reach.ssh import health_line
from tests.interpreters import VERSIONS, interpreter
from tests.waiting import until

# `exec` runs the words after the container here, one `attempt` for each that is marked as one; `inspect` prints what lies in the
# container's file.
DOCKER = """\
#!/bin/sh
cd {folder}
case $1 in
  inspect) cat "$3" ;;
  exec)
    shift
    case $1 in --env=*) export "${{1#--env=}}"; echo x >>"attempts-$2"; shift ;; esac
    shift
    exec "$@" ;;
esac
"""
FAST = {"interval": "100ms", "start_interval": "100ms", "timeout": "500ms", "retries": "2"}


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        program = folder / "bin" / "docker"
        program.write_text(DOCKER.format(folder=folder))
        program.chmod(0o755)
        self.path = f"{folder / 'bin'}:{os.environ['PATH']}"

    def put(self, container: str, age: float = 0.0, image: object = None) -> None:
        started = (datetime.now(timezone.utc) - timedelta(seconds=age)).isoformat()
        told = [{"State": {"StartedAt": started}, "Config": {"Healthcheck": image}, "NetworkSettings": {}}]
        (self.folder / container).write_text(json.dumps(told))

    def attempts(self, container: str) -> int:
        path = self.folder / f"attempts-{container}"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine(tmp_path)
    monkeypatch.setenv("PATH", engine.path)
    return engine


class Told:
    """The verdicts as they came."""

    def __init__(self) -> None:
        self.all: list[Verdict] = []
        self.watcher = Watcher(self.all.append)

    def of(self, container: str) -> list[str]:
        return [verdict.health for verdict in self.all if verdict.id == container]

    def await_(self, container: str, *verdicts: str) -> Verdict:
        until(f"{container} is {verdicts}, {self.all}", lambda: self.of(container) == list(verdicts), 10)
        return next(verdict for verdict in reversed(self.all) if verdict.id == container)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.watcher.watch([])


def own(test: str, **more: str) -> str:
    return json.dumps({**FAST, "test": test, **more})


def test_a_verdict_is_told_when_it_changes_and_the_words_are_the_last_ones(engine: Engine, told: Told) -> None:
    engine.put("a", age=60)
    check = own(f"test -e {engine.folder}/well || {{ echo first; echo no $((1+1)) luck; exit 3; }}")
    told.watcher.watch([Target("a", check)])
    verdict = told.await_("a", STARTING, UNHEALTHY)
    assert verdict.words == "its check failed 2 times in a row: exit code 3: no 2 luck"
    (engine.folder / "well").touch()
    told.await_("a", STARTING, UNHEALTHY, HEALTHY)
    seen = engine.attempts("a")
    until("it goes on", lambda: engine.attempts("a") > seen + 3)
    assert told.of("a") == [STARTING, UNHEALTHY, HEALTHY]


def test_the_check_of_the_image_counts_where_there_is_no_other_and_none_is_none(engine: Engine, told: Told) -> None:
    engine.put("a", image={"Test": ["CMD", "true"]})
    engine.put("b", image={"Test": ["NONE"]})
    told.watcher.watch([Target("a", ""), Target("b", "")])
    told.await_("a", STARTING, HEALTHY)
    assert told.await_("b", NO_CHECK).words == ""


def test_a_check_that_hangs_is_ended_with_its_children_and_holds_up_no_other(engine: Engine, told: Told) -> None:
    slow = f"slow-{uuid.uuid4().hex}"
    engine.put(slow, age=60)
    engine.put("fast")
    hangs = f"[ -e {engine.folder}/go ] || {{ sleep 1000 & echo $! >>{engine.folder}/children; setsid sleep 1000; }}"
    told.watcher.watch([Target(slow, own(hangs)), Target("fast", own("true"))])
    told.await_("fast", STARTING, HEALTHY)
    verdict = told.await_(slow, STARTING, UNHEALTHY)
    assert verdict.words == "its check failed 2 times in a row: did not end within 0.5 s"
    (engine.folder / "go").touch()
    told.await_(slow, STARTING, UNHEALTHY, HEALTHY)
    children = [int(line) for line in (engine.folder / "children").read_text().split()]
    assert len(children) >= 2
    until("none is left", lambda: not any(_runs(child) for child in children))


def test_a_check_that_cannot_be_ended_is_attempted_once_until_it_has(engine: Engine, told: Told) -> None:
    engine.put("slow", age=60)
    # Nothing in it has the mark by which it would be found.
    hangs = f"while ! [ -e {engine.folder}/go ]; do sleep 0.1; done"
    told.watcher.watch([Target("slow", json.dumps({**FAST, "test": json.dumps(["CMD", "env", "-i", "/bin/sh", "-c", hangs])}))])
    verdict = told.await_("slow", STARTING, UNHEALTHY)
    assert verdict.words.startswith("its check failed 2 times in a row: an attempt has not ended for ")
    assert engine.attempts("slow") == 1
    (engine.folder / "go").touch()
    told.await_("slow", STARTING, UNHEALTHY, HEALTHY)


def test_what_a_check_says_is_bounded(engine: Engine, told: Told) -> None:
    engine.put("a", age=60)
    told.watcher.watch([Target("a", own("yes no | head -c 3000000; printf '%01000000d' 7; exit 1"))])
    assert len(told.await_("a", STARTING, UNHEALTHY).words) < 400


def test_an_engine_that_is_away_says_nothing_about_the_app(engine: Engine, told: Told) -> None:
    engine.put("a", age=60)
    words = "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?"
    told.watcher.watch([Target("a", own(f"echo {words!r}; exit 1"))])
    until("it was attempted", lambda: engine.attempts("a") > 5)
    assert told.of("a") == [STARTING]


def test_a_container_that_somebody_restarts_is_starting_again(engine: Engine, told: Told) -> None:
    engine.put("a", age=60)
    told.watcher.watch([Target("a", own(f"test -e {engine.folder}/well"))])
    told.await_("a", STARTING, UNHEALTHY)
    engine.put("a")
    told.await_("a", STARTING, UNHEALTHY, STARTING)


def test_what_is_no_longer_to_be_watched_is_left_alone(engine: Engine, told: Told) -> None:
    engine.put("a")
    told.watcher.watch([Target("a", own("true"))])
    told.await_("a", STARTING, HEALTHY)
    told.watcher.watch([])
    until("no thread is left", lambda: not any(thread.name == "health-a" for thread in threading.enumerate()))
    told.watcher.watch([Target("a", own("true"))])
    told.await_("a", STARTING, HEALTHY, STARTING, HEALTHY)


@pytest.mark.parametrize("version", VERSIONS)
def test_as_a_program_it_needs_a_bare_python_and_ends_with_its_input(version: str, engine: Engine) -> None:
    engine.put("a", age=60)
    argv = [interpreter(version), *health_line.command().argv[1:]]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(health_line.opening())
        target = Target("a", own(f"test -e {engine.folder}/well || sleep 1000"))
        program.stdin.write(json.dumps({"watch": [target]}).encode() + b"\n")
        program.stdin.flush()
        lines = [json.loads(program.stdout.readline()) for _ in range(2)]
        assert [line[1] for line in lines] == [STARTING, UNHEALTHY]
        program.stdin.close()
        assert program.wait(5) == 0
        assert program.stdout.read() == b""
    until("nothing of it is left", lambda: not _alive(program.pid))


def _alive(session: int) -> list[str]:
    """The processes of a session that have not ended; who adopts those that have may not reap them."""
    done = subprocess.run(["ps", "-o", "stat=", "-s", str(session)], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.split() if not line.startswith("Z")]


def _runs(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Silent:
    """A line that notes what it is told."""

    def __init__(self) -> None:
        self.watched: list[Target] = []
        self.forgotten: list[str] = []

    def watch(self, targets: object) -> None:
        self.watched = list(targets)  # type: ignore[call-overload]

    def forget(self, container: str) -> None:
        self.forgotten.append(container)


class Judged:
    """Checks of one node, whose verdicts the test gives."""

    def __init__(self) -> None:
        self.line = Silent()
        self.events: list[Event] = []
        self.woken = 0
        self.checks = Checks(self._begin, self.events.append, self._wake)

    def _begin(self, node: str, hear: object) -> Line:
        self.hear = hear
        return self.line

    def _wake(self) -> None:
        self.woken += 1

    def say(self, health: str, words: str = "", *, fresh: bool = True) -> None:
        self.hear(Verdict("1", health, words, fresh))  # type: ignore[operator]

    def health(self, container: Container) -> tuple[str, str]:
        found = self.checks.over("n1", [container])[0]
        return found.health, found.said


WEB = Container("1", "c-web_2", "n1", "web", "s", "nginx", "running", 0.0, slot=2, health=STARTING, check="{}")


def test_only_our_running_containers_with_a_check_are_watched() -> None:
    judged = Judged()
    others = [replace(WEB, id="2", health=""), replace(WEB, id="3", app=""), replace(WEB, id="4", state="exited")]
    assert judged.checks.over("n1", others) == tuple(others)
    assert not hasattr(judged, "hear")
    assert judged.checks.over("n1", [WEB, *others]) == (WEB, *others)
    assert judged.line.watched == [Target("1", "{}")]


def test_a_verdict_is_laid_over_what_is_seen_wakes_the_loop_and_is_an_event_once() -> None:
    judged = Judged()
    assert judged.health(replace(WEB, health=HEALTHY)) == (STARTING, "")
    judged.say(UNHEALTHY, "exit code 1")
    judged.say(UNHEALTHY, "exit code 1")
    assert judged.health(WEB) == (UNHEALTHY, "exit code 1")
    judged.say(HEALTHY, "fine")
    assert judged.health(WEB) == (HEALTHY, "")
    assert [(event.kind, event.message, event.app, event.node) for event in judged.events] == [
        ("unhealthy", "web.2 is unhealthy on n1: exit code 1", "web", "n1"),
        ("healthy", "web.2 is healthy on n1", "web", "n1"),
    ]
    assert judged.woken == 3


def test_a_watcher_that_begins_again_takes_no_verdict_back() -> None:
    judged = Judged()
    judged.health(WEB)
    judged.say(HEALTHY, fresh=False)
    judged.say(STARTING, fresh=False)
    assert judged.health(WEB) == (HEALTHY, "")
    assert judged.events == []
    judged.say(STARTING, fresh=True)
    assert judged.health(WEB) == (STARTING, "")


def test_a_container_that_was_restarted_is_starting_until_it_is_checked_again() -> None:
    judged = Judged()
    judged.health(WEB)
    judged.say(UNHEALTHY, "exit code 1")
    judged.checks.restarted("n1", "c-web_2")
    judged.checks.restarted("n1", "another")
    judged.checks.restarted("n2", "c-web_2")
    assert judged.line.forgotten == ["1"]
    assert judged.health(WEB) == (STARTING, "exit code 1")
    judged.say(STARTING, fresh=True)
    assert judged.health(WEB) == (STARTING, "exit code 1")
    judged.say(HEALTHY)
    assert judged.health(WEB) == (HEALTHY, "")


@pytest.mark.parametrize(("was", "told"), [(UNHEALTHY, ["unhealthy", "healthy"]), (HEALTHY, ["healthy"])])
def test_one_whose_trouble_was_told_is_told_to_be_well_after_its_restart(was: str, told: list[str]) -> None:
    judged = Judged()
    judged.health(WEB)
    judged.say(was, "exit code 1")
    judged.checks.restarted("n1", "c-web_2")
    judged.say(HEALTHY, fresh=False)
    assert [event.kind for event in judged.events] == told


def test_what_was_said_of_a_container_stays_while_it_is_seen_on_its_way_down_and_up() -> None:
    judged = Judged()
    judged.health(WEB)
    judged.say(UNHEALTHY, "exit code 1")
    judged.health(replace(WEB, state="exited"))
    judged.checks.restarted("n1", "c-web_2")
    assert judged.health(WEB) == (STARTING, "exit code 1")
    judged.say(HEALTHY)
    judged.health(replace(WEB, state="exited"))
    assert judged.health(WEB) == (STARTING, "")


def test_a_container_that_went_leaves_no_verdict() -> None:
    judged = Judged()
    judged.health(WEB)
    judged.say(HEALTHY)
    judged.checks.over("n1", [])
    judged.say(UNHEALTHY, "late")
    assert judged.line.watched == []
    assert judged.health(WEB) == (STARTING, "")
