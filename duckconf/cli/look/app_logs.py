"""`./inv logs APP…`: what the instances of apps and stacks print, merged by time, and followed when they move."""

from __future__ import annotations

import json
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.look.absent import is_declared, why_absent
from duckconf.cli.look.event_source import EventSource, event_line, event_source
from duckconf.cli.look.log_reading import Ends, LogReading, Looked, News, Notice, Opens, Question, Said
from duckconf.cli.terminal.edge import SOME_UNREACHABLE
from duckconf.codec import app_of_label
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NotFound
from duckconf.events import Event
from duckconf.log_lines import Line, Source, moment
from duckconf.log_merge import Merge
from duckconf.reach.inventory.project import Project
from duckconf.suggest import meant
from duckconf.visible import visible

# Seconds: how long lines wait for those of a container that has not said anything yet, and for later ones while following.
FIRST_WORDS, LIVE = 1.0, 0.2
PULSE = 0.25
AGAIN = 2.0
COLORS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
INTERRUPTED = 130


@dataclass(frozen=True)
class Look:
    """What was asked for; `tail` and `since` as the engine takes them."""

    follow: bool = False
    tail: str = ""
    since: str = ""
    timestamps: bool = False
    raw: bool = False
    as_json: bool = False


def app_logs(project: Project, names: Sequence[str], look: Look) -> int:
    """The exit code. Raises NotFound where no node has anything of a name."""
    seen: set[str] = set()

    def wanted(container: Container) -> bool:
        found = names_of(container)
        seen.update(found)
        return not found.isdisjoint(names)

    question = Question(wanted, look.tail, look.since, look.follow)
    with open_cluster(project, warm=True) as cluster:
        reading = LogReading(cluster, question)
        events = _events(project) if look.follow else None
        try:
            return Show(project, reading, names, look, seen).run(events)
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            reading.close()


def _events(project: Project) -> EventSource | None:
    """None where there is no way to them: the logs are there without."""
    try:
        return event_source(project)
    except DuckconfError as error:
        print(f"events are not told: {error}", file=sys.stderr)
        return None


def names_of(container: Container) -> set[str]:
    """By which a person may name it."""
    app = app_of_label(container.manifest) if container.manifest else None
    return {container.app, container.instance, container.name, app.stack if app is not None else ""} - {""}


class Show:
    """Prints what is read, in this thread alone."""

    def __init__(self, project: Project, reading: LogReading, names: Sequence[str], look: Look, seen: Collection[str]) -> None:
        """`seen` are all names that the nodes have."""
        self._project = project
        self._reading = reading
        self._names = names
        self._seen = seen
        self._look = look
        self._merge = Merge(FIRST_WORDS, LIVE if look.follow else FIRST_WORDS)
        self._printer = Printer(look, many=len(names) > 1)
        self._there: dict[str, tuple[str, ...] | None] = {}
        self._failures: dict[str, str] = {}
        self._open: set[Source] = set()
        self._known: set[str] = set()
        # Of instances that were read here, also while their node does not answer.
        self._apps, self._nodes = set(names), set[str]()

    def run(self, events: EventSource | None) -> int:
        for node in self._reading.start():
            self._there[node] = None
            self._merge.opens(node, time.monotonic())
        if events is not None:
            threading.Thread(target=self._hear, args=(events,), name="events", daemon=True).start()
        while not self._is_over():
            self._take()
            self._print(self._merge.due(time.monotonic()))
        self._print(self._merge.due(float("inf")))
        for node, failure in self._failures.items():
            print(f"unreachable: {node}: {failure}", file=sys.stderr)
        return SOME_UNREACHABLE if self._failures else 0

    def _take(self) -> None:
        try:
            self._note(self._reading.news.get(timeout=min(PULSE, self._merge.wait(time.monotonic()))))
            while True:
                self._note(self._reading.news.get_nowait())
        except queue.Empty:
            pass
        if reader_left():
            raise BrokenPipeError

    def _note(self, news: News) -> None:
        now = time.monotonic()
        if isinstance(news, Opens):
            self._open.add(news.source)
            self._known.add(news.source.name)
            self._apps.add(news.source.app)
            self._nodes.add(news.source.node)
            self._printer.knows(self._known)
            self._merge.opens(news.source, now)
        elif isinstance(news, Said):
            self._merge.add(news.source, news.lines, now)
        elif isinstance(news, Ends):
            self._open.discard(news.source)
            self._merge.ends(news.source)
        elif isinstance(news, Looked):
            self._note_look(news)
        else:
            print(news.text, file=sys.stderr, flush=True)

    def _note_look(self, news: Looked) -> None:
        self._merge.ends(news.node)
        self._there[news.node] = news.names
        self._failures.pop(news.node, None)
        if news.failure:
            self._failures[news.node] = news.failure
            if self._look.follow and news.first:
                print(f"unreachable: {news.node}: {news.failure}", file=sys.stderr, flush=True)

    def _is_over(self) -> bool:
        """Raises NotFound."""
        if None in self._there.values():
            return False
        if not self._known:
            raise self._absent()
        if not self._look.follow:
            return not self._open and self._reading.news.empty()
        return (
            not any(self._there.values()) and not self._open and not self._failures and self._merge.is_empty and self._withdrawn()
        )

    def _absent(self) -> NotFound:
        names = self._names
        for name in names:
            if (declared := why_absent(self._project, name)) is not None:
                return declared
        silent = f"; {', '.join(self._failures)} did not answer and may have it" if self._failures else ""
        what = " or ".join(map(repr, names))
        like = silent or "".join(meant(name, self._seen) for name in names)
        return NotFound(f"no node has an app, instance or stack {what}{like}", "see `./inv ps`")

    def _withdrawn(self) -> bool:
        """Whether nothing can come any more: in push mode nobody starts it again."""
        gone = not any(is_declared(self._project, name) for name in self._names)
        if gone:
            print(f"{', '.join(self._names)}: no instance is left", file=sys.stderr)
        return gone

    def _print(self, lines: Iterable[tuple[Hashable, Line]]) -> None:
        self._printer.print([(source, line) for source, line in lines if isinstance(source, Source)])

    def _hear(self, events: EventSource) -> None:
        """For a thread of its own, because who tells them may be frozen. An event is told before the lines of the container that
        it is about."""
        cursor = ""
        while True:
            try:
                page = events.after(cursor) if cursor else events.tail(0)
            except DuckconfError:
                # The lines still come; the nodes are looked at every few seconds.
                time.sleep(AGAIN)
                continue
            cursor = page.cursor
            told = [event for event in page.events if self._concerns(event)]
            for event in told:
                self._reading.news.put(Notice(event_line(event)))
            if told:
                self._reading.wake()

    def _concerns(self, event: Event) -> bool:
        return event.app in self._apps or (not event.app and event.node in self._nodes)


class Printer:
    """A prefix where lines of several instances come together, with a color on a terminal."""

    def __init__(self, look: Look, *, many: bool, colored: bool | None = None) -> None:
        self._look = look
        self._many = many
        self._width = 0
        self._numbers: dict[str, int] = {}
        self._colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR") if colored is None else colored

    def knows(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._numbers.setdefault(name, len(self._numbers))
        self._many = self._many or len(self._numbers) > 1
        self._width = max(map(len, self._numbers), default=0)

    def print(self, lines: Sequence[tuple[Source, Line]]) -> None:
        if lines:
            sys.stdout.buffer.write(b"".join(self.line(source, line) for source, line in lines))
            sys.stdout.buffer.flush()

    def line(self, source: Source, line: Line) -> bytes:
        if self._look.as_json:
            return json.dumps(_row(source, line)).encode() + b"\n"
        words = line.text if self._look.raw else _shown(line.text)
        time = f"{moment(line.time)} ".encode() if self._look.timestamps else b""
        return self._prefix(source.name).encode() + time + words + b"\n"

    def _prefix(self, name: str) -> str:
        if not self._many:
            return ""
        text = f"{name:<{self._width}} | "
        color = COLORS[self._numbers.get(name, 0) % len(COLORS)]
        return f"\x1b[{color}m{text}\x1b[0m" if self._colored else text


def _row(source: Source, line: Line) -> Mapping[str, Any]:
    text = line.text.decode("utf-8", errors="replace")
    return {"time": moment(line.time), "app": source.app, "slot": source.slot, "node": source.node} | {
        "container": source.container,
        "line": text,
    }


def _shown(text: bytes) -> bytes:
    return visible(text.decode("utf-8", errors="replace")).encode()


def reader_left() -> bool:
    """Whether nobody reads our output any more, such as after `| head`: a log may be silent for hours."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(found & (select.POLLERR | select.POLLNVAL) for _, found in poll.poll(0))
