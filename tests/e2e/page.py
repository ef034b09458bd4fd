"""The page as a person uses it: what it shows, and the dialogs that act."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.browser import PHONE, PROJECTOR, Browser, axe_file, driver
from tests.e2e.conftest import ROOT
from tests.waiting import until

ESCAPE = "\ue00c"
# Boxes by node: name and state of each instance; those without a node under "".
BOXES = """
return [...document.querySelectorAll('[data-part="instances"]')].map((box) => [
  box.closest('[data-part="nodes"]')?.dataset.key || "", box.querySelector(".name").textContent, box.dataset.state]);
"""
NODES = """return Object.fromEntries(
  [...document.querySelectorAll('[data-part="nodes"]')].map((node) => [node.dataset.key, node.dataset.status]));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with driver() as address:
        browser = Browser(address)
        yield browser
        browser.close()


class Page:
    """The page of one API."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self._url = url
        self._axe = axe_file(ROOT / ".duckconf" / "build" / "axe")

    def open(self, size: tuple[int, int] = PROJECTOR, *, until_live: bool = True) -> None:
        self.browser.size(*size)
        self.browser.open(f"{self._url}/")
        if until_live:
            self.is_live()

    def is_live(self, seconds: float = 20) -> None:
        until("the page is live", lambda: self.link() == "live", seconds, self.seen)

    def link(self) -> str:
        return str(self.browser.run("return document.body.dataset.link || ''"))

    def nodes(self) -> dict[str, str]:
        """The state of each node."""
        return dict(self.browser.run(NODES))

    def boxes(self) -> list[tuple[str, str, str]]:
        """Node, name and state of each instance."""
        return [(node, name, state) for node, name, state in self.browser.run(BOXES)]

    def ready(self, app: str) -> int:
        """How many instances of the app are shown as ready, in a node."""
        return sum(bool(node) and name.split(".")[0] == app and state == "ready" for node, name, state in self.boxes())

    def events(self) -> list[str]:
        return [words.split()[0] for words in self.browser.texts("#events .kind")]

    def act(self, form: str, **fields: str) -> str:
        """Fill in and send a form of the open dialog; what it says then."""
        for name, value in fields.items():
            self.browser.type(f'[data-form="{form}"] [name="{name}"]', value)
        self.browser.click(f'[data-form="{form}"] button')
        outcome = f'[data-form="{form}"] .outcome'
        until("the form says what came of it", lambda: self.browser.text(outcome) != "", 30, self.seen)
        return self.browser.text(outcome)

    def start(self, **fields: str) -> str:
        self.browser.click("#start")
        said = self.act("start", **fields)
        self.escape()
        return said

    def of_app(self, name: str, form: str, **fields: str) -> str:
        self.browser.click(f'[data-part="apps"][data-key="{name}"] h3 button')
        said = self.act(form, **fields)
        self.escape()
        return said

    def of_node(self, name: str, form: str) -> str:
        self.browser.click(f'[data-part="nodes"][data-key="{name}"] h3 button')
        said = self.act(form)
        self.escape()
        return said

    def kill(self, app: str, instance: str) -> None:
        self._do(app, instance, "kill")
        until("the page says so", lambda: "was killed" in self.browser.text(".output"), 20, self.seen)
        self.escape()

    def stop(self, app: str, instance: str) -> None:
        self._do(app, instance, "stop")
        until("the page says so", lambda: "was stopped" in self.browser.text(".output"), 20, self.seen)
        self.escape()

    def log(self, app: str, instance: str) -> str:
        self._do(app, instance, "log")
        until("the log is there", lambda: self.browser.text(".output .lines") != "", 20, self.seen)
        said = self.browser.text(".output .lines")
        self.escape()
        return said

    def _do(self, app: str, instance: str, what: str) -> None:
        self.browser.click(f'[data-part="apps"][data-key="{app}"] h3 button')
        self.browser.click(f'tr[data-key="{instance}"] [data-do="{what}"]')

    def escape(self) -> None:
        self.browser.press(ESCAPE)
        until("the dialog is closed", lambda: not self.browser.run("return document.getElementById('dialog').open"), 5)

    def is_sound(self) -> None:
        """At both widths nothing is wider than the window, axe finds nothing, and the console is empty. It is wide afterwards."""
        for size in (PHONE, PROJECTOR):
            self.browser.size(*size)
            too_wide = self.browser.run("return document.documentElement.scrollWidth - innerWidth")
            found = [self.browser.violations(self._axe), self.browser.complaints()]
            assert (too_wide <= 0, *found) == (True, [], []), (size, too_wide, *found)

    def seen(self) -> str:
        return f"{self.link()} {self.nodes()} {self.boxes()} {self.events()[:10]}"
