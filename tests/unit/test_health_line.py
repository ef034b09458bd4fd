"""The line to a node's watcher: what it sends and when, and what it makes of a node where nothing can be checked."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from duckconf.command import Command
from duckconf.errors import Unreachable
from duckconf.reach.nodes.watcher import Target, Verdict
from duckconf.reach.ssh import health_line
from duckconf.reach.ssh.health_line import HealthLine
from duckconf.reach.ssh.runner import SshRunner
from tests.waiting import until


class FakeTalk:
    """The program on the node: the test says its lines, and None for its end."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.sent: list[bytes] = []
        self.says: queue.Queue[bytes | None] = queue.Queue()
        self.hung_up = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def lines(self) -> Iterator[bytes]:
        while (line := self.says.get()) is not None:
            yield line

    def hang_up(self) -> None:
        self.hung_up = True
        self.says.put(None)

    def exit_code(self) -> int:
        return self.code

    def __enter__(self) -> FakeTalk:
        return self

    def __exit__(self, *_: object) -> None:
        self.says.put(None)

    def told(self) -> list[dict[str, Any]]:
        """What was sent after the sources."""
        return [json.loads(line) for line in self.sent[1:]]


class FakeRunner:
    """Gives these talks one after the other, and then none."""

    def __init__(self, *talks: FakeTalk) -> None:
        self.talks = list(talks)
        self.asked = 0

    def talk(self, command: Command) -> FakeTalk:
        self.asked += 1
        assert command.argv[0] == "python3"
        if not self.talks:
            raise Unreachable("n1", "is away")
        return self.talks.pop(0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_line, "AGAIN", 0.02)
    monkeypatch.setattr(health_line, "IDLE", 0.1)


def line(runner: FakeRunner, heard: list[Verdict], troubles: list[str]) -> HealthLine:
    return HealthLine(lambda: cast(SshRunner, runner), heard.append, troubles.append)


def test_nothing_is_opened_until_there_is_something_to_watch_and_only_news_is_sent() -> None:
    talk, heard = FakeTalk(), list[Verdict]()
    runner = FakeRunner(talk)
    watched = line(runner, heard, [])
    watched.watch([])
    assert runner.asked == 0
    for _ in range(5):
        watched.watch([Target("a", "{}")])
    until("it is sent", lambda: talk.told() == [{"watch": [["a", "{}"]]}])
    talk.says.put(b'["a", "healthy", "", true]')
    talk.says.put(b"a line of another program")
    talk.says.put(b'["a", "unhealthy", "exit code 1", true]')
    until("both are heard", lambda: [verdict.health for verdict in heard] == ["healthy", "unhealthy"])
    watched.forget("a")
    until("it is watched anew", lambda: talk.told()[1:] == [{"forget": "a"}, {"watch": [["a", "{}"]]}])


def test_a_line_without_anything_to_watch_is_kept_for_a_while_and_then_ended() -> None:
    first, second = FakeTalk(), FakeTalk()
    watched = line(FakeRunner(first, second), [], [])
    watched.watch([Target("a", "")])
    until("it is sent", lambda: len(first.told()) == 1)
    watched.watch([])
    watched.watch([Target("a", "")])
    watched.watch([])
    until("it is ended", lambda: first.hung_up)
    watched.watch([Target("b", "")])
    until("there is another one", lambda: second.told() == [{"watch": [["b", ""]]}])


def test_a_connection_that_breaks_is_replaced_and_the_watcher_told_all_again() -> None:
    first, second = FakeTalk(code=-1), FakeTalk()
    watched = line(FakeRunner(first, second), [], [])
    watched.watch([Target("a", ""), Target("b", "")])
    until("it is sent", lambda: len(first.told()) == 1)
    first.says.put(None)
    until("the other one is told", lambda: second.told() == [{"watch": [["a", ""], ["b", ""]]}])


def test_a_node_without_python_is_told_once() -> None:
    troubles: list[str] = []
    talks = [FakeTalk(code=127) for _ in range(3)]
    for talk in talks:
        talk.says.put(None)
    runner = FakeRunner(*talks)
    line(runner, [], troubles).watch([Target("a", "")])
    until("all were tried", lambda: runner.asked > 3)
    assert troubles == ["health checks need python3 on it, which is not found"]


def test_a_node_that_is_away_is_tried_again_with_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_line, "AGAIN", 0.2)
    runner = FakeRunner()
    line(runner, [], []).watch([Target("a", "")])
    until("it was tried", lambda: runner.asked > 1)
    begun, before = time.monotonic(), runner.asked
    until("and again", lambda: runner.asked > before + 1)
    assert time.monotonic() - begun > 0.15
