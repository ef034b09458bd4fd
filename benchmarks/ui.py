"""What open pages cost, and how soon they show a change: `python -m benchmarks.ui`, or `./inv bench ui`.

One real control plane in agents mode with 200 simulated agents and 2 000 apps, and up to a hundred streams beside a browser.
`--only pages,browser,trace` runs parts of it; `trace` leaves Chromium's in `.duckconf/bench/ui-trace.json`. Prints a table and
writes `.duckconf/bench/ui.json`.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil

from benchmarks import trace
from benchmarks.agents_scale import Scale, await_that, placing, running
from benchmarks.browser import PROJECTOR, Browser, driver
from benchmarks.measure import FOLDER, Row
from benchmarks.run import main
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say, step

PARTS = ("pages", "browser", "trace")
NODES = 200
APPS = 2000
PAGES = 100
REST_SECONDS = 10.0
CHANGES = 10
# In a patch, and not in the event about it.
CORDONED = b'"cordoned":'
PICTURE = b"event: picture"
GOAL_CHANGE = 300.0
GOAL_PAINT = 1000.0
# As the page sees it: when the node's mark changed, on the clock of this machine.
WATCH = """
const card = document.querySelector(`[data-part="nodes"][data-key="${arguments[0]}"] .tags`);
window.changes = [];
const note = () => requestAnimationFrame(() => window.changes.push(Date.now()));
new MutationObserver(note).observe(card, {childList: true, subtree: true, characterData: true});
"""
DRAWN = """return document.querySelectorAll('[data-part="instances"]').length"""
PAINT = """
const first = performance.getEntriesByName("first-contentful-paint")[0];
return first ? first.startTime : 0;
"""


class Pages:
    """Open streams, read by one thread of ours; when each last read of a cordon is noted."""

    def __init__(self, url: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._lines = [_open(url) for _ in range(count)]
        self.heard: dict[int, float] = {}
        self.begun: set[int] = set()
        self.bytes = 0
        self._rests = [b""] * count
        for number, line in enumerate(self._lines):
            self._selector.register(line, selectors.EVENT_READ, number)
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.2):
                content = self._lines[key.data].recv(1 << 18)
                self.bytes += len(content)
                # What is looked for may lie over the end of what was read.
                text = self._rests[key.data] + content
                self._rests[key.data] = text[-len(PICTURE) :]
                if PICTURE in text:
                    self.begun.add(key.data)
                if CORDONED in text:
                    self.heard.setdefault(key.data, time.monotonic())

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        for line in self._lines:
            line.close()


def _open(url: str) -> socket.socket:
    place = urlsplit(url)
    line = socket.create_connection((str(place.hostname), int(place.port or 80)), 10)
    head = f"GET /events HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: text/event-stream\r\nAuthorization: Bearer operator\r\n\r\n"
    line.sendall(head.encode())
    return line


@contextmanager
def pages(url: str, count: int) -> Iterator[Pages]:
    found = Pages(url, count)
    try:
        await_that("all pages have their picture", lambda: len(found.begun) == count, 60)
        yield found
    finally:
        found.close()


def measure(parts: Collection[str], rounds: int) -> list[Row]:
    with running(NODES) as scale:
        with step(f"{NODES} simulated agents report to one api-server"):
            await_that("all are ready", lambda: all(node["status"] == "ready" for node in scale.nodes()), 120)
        placing(scale, APPS)
        rows = [row for count in (0, 1, PAGES) for row in with_pages(scale, count, rounds)] if "pages" in parts else []
        rows += in_browser(scale, rounds) if "browser" in parts else []
        return rows + (traced(scale) if "trace" in parts else [])


def with_pages(scale: Scale, count: int, rounds: int) -> list[Row]:
    server = psutil.Process(scale.processes["api.agents"].pid)
    with pages(scale.url, count) as opened:
        scale.ask("stats")
        before, sent, begun = sum(server.cpu_times()[:2]), opened.bytes, time.monotonic()
        with step(f"{count} pages at rest for {REST_SECONDS:g} s"):
            time.sleep(REST_SECONDS)
        took = time.monotonic() - begun
        share = (sum(server.cpu_times()[:2]) - before) / took * 100
        sent = opened.bytes - sent
        beats = sorted(one for answer in scale.ask("stats") for one in answer["took"])
        changes = [took for number in range(2 * rounds) for took in _change(scale, opened, count, number)] if count else []
    rows = [
        Row(f"api-server with {count} pages at rest", [share], unit="% core"),
        Row(f"api-server memory with {count} pages", [server.memory_info().rss / 2**20], unit="MiB"),
        Row(f"heartbeat p99 with {count} pages", [_p99(beats)], goal=50, unit="ms"),
    ]
    if not count:
        return rows
    say(f"  {sent / count / took / 1024:.1f} KiB/s for each page")
    return [
        *rows,
        Row(f"change to page, median of {count} pages", [statistics.median(changes)], unit="ms"),
        Row(f"change to page, p99 of {count} pages", [_p99(changes)], goal=GOAL_CHANGE, unit="ms"),
    ]


def _change(scale: Scale, opened: Pages, count: int, number: int) -> list[float]:
    """Cordon a node, or let it free, in turn; milliseconds from when that was acknowledged until each page has read of it, which
    may be before."""
    opened.heard.clear()
    scale.api().call("PUT", f"/node/{scale.names[0]}", {"cordoned": number % 2 == 0})
    begun = time.monotonic()
    await_that("all pages know", lambda: len(opened.heard) >= count, 20)
    return [max(0.0, when - begun) * 1000 for when in opened.heard.values()]


def _p99(values: Collection[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else max(values, default=0.0)


def in_browser(scale: Scale, rounds: int) -> list[Row]:
    node = scale.names[0]
    paints, drawn, changes = [], [], []
    with driver() as address:
        browser = Browser(address)
        _log_in(browser, scale)
        for _ in range(min(rounds, 5)):
            begun = time.monotonic()
            browser.open(f"{scale.url}/")
            await_that("all is drawn", lambda: browser.run(DRAWN) >= APPS, 30)
            drawn.append((time.monotonic() - begun) * 1000)
            await_that("it was painted", lambda: browser.run(PAINT) > 0, 30)
            paints.append(float(browser.run(PAINT)))
        browser.run(WATCH, node)
        for number in range(2 * rounds):
            known = len(browser.run("return window.changes"))
            scale.api().call("PUT", f"/node/{node}", {"cordoned": number % 2 == 0})
            begun = time.time()
            await_that("it is seen", lambda known=known: len(browser.run("return window.changes")) > known, 20)  # type: ignore[misc]
            changes.append(max(0.0, browser.run("return window.changes")[known] - begun * 1000))
        heap = browser.run("return performance.memory.usedJSHeapSize") / 2**20
        browser.close()
    return [
        Row(f"first paint, {NODES} nodes, {APPS} instances", paints, goal=GOAL_PAINT, unit="ms"),
        Row("all of it drawn", drawn, unit="ms"),
        Row("change seen in the browser, p99", [_p99(changes)], goal=GOAL_CHANGE, unit="ms"),
        Row("memory of the page", [heap], unit="MiB"),
    ]


def traced(scale: Scale) -> list[Row]:
    """What the page's main thread does while all of it is drawn, at rest, and while one thing changes each second."""
    with driver() as address:
        browser = Browser(address, trace.CATEGORIES)
        _log_in(browser, scale)
        browser.open(f"{scale.url}/")
        await_that("all is drawn", lambda: browser.run(DRAWN) >= APPS, 30)
        browser.run(trace.MARK, "drawn")
        with step(f"a page at rest for {REST_SECONDS:g} s"):
            time.sleep(REST_SECONDS)
        browser.run(trace.MARK, "rested")
        for number in range(CHANGES):
            scale.api().call("PUT", f"/node/{scale.names[0]}", {"cordoned": number % 2 == 0})
            time.sleep(1)
        browser.run(trace.MARK, "changed")
        events = trace.read(browser.trace())
        browser.close()
    trace.keep(events, FOLDER / "ui-trace.json")
    rows = []
    for what, begins, ends in (
        ("drawn", "navigationStart", "drawn"),
        ("rests", "drawn", "rested"),
        ("changes", "rested", "changed"),
    ):
        found = trace.cost(events, begins, ends)
        shares = ", ".join(f"{kind} {took:.0f} ms" for kind, took in sorted(found.by_kind.items()))
        say(f"  while it {what}: {found.busy:.0f} of {found.lasted:.0f} ms busy, of that {shares}")
        rows.append(Row(f"longest task of the page while it {what}", [found.longest], unit="ms"))
        rows.append(Row(f"main thread of the page while it {what}", [100 * found.busy / found.lasted], unit="% core"))
    return rows


def _log_in(browser: Browser, scale: Scale) -> None:
    browser.size(*PROJECTOR)
    browser.open(f"{scale.url}/")
    browser.type('[data-form="open"] [name="token"]', "operator")
    browser.click('[data-form="open"] button')
    await_that("the page is live", lambda: browser.run("return document.body.dataset.link") == "live", 30)


def act(_: LocalEngine, parts: Collection[str], rounds: int) -> list[Row]:
    return measure(parts, rounds)


if __name__ == "__main__":
    sys.exit(main("ui", {PARTS: act}, without_engine=PARTS))
