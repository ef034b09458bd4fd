"""The page in a browser, on real nodes: what a person does, and what is seen when a node dies, the API restarts, and an update is
taken back. Scenes begin on a telephone and go on at a wide window. Agents mode is in agents/test_agents_updates.py."""

from __future__ import annotations

import pytest

from benchmarks.browser import PHONE, Browser
from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.services import api_service
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import WEB_IMAGE
from tests.e2e.conftest import NODE_TIMEOUT, NODES, Declared, Live
from tests.e2e.page import Page, browser
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["browser"]

TAB = "\ue004"
ENTER = "\ue007"


def test_in_push_mode_a_person_starts_an_app_and_sees_the_node_that_freezes(cluster: Live, browser: Browser) -> None:
    page = Page(browser, cluster.project.settings.api_url)
    page.open(PHONE)
    assert set(page.nodes()) == set(NODES)
    assert "push mode has none" in browser.text('.step[data-key="sensor"]')
    said = page.start(image=WEB_IMAGE)
    assert "runs on node-" in said
    until("the app is shown in its node", lambda: [state for _, _, state in page.boxes()] == ["ready"], 20, page.seen)
    node = page.boxes()[0][0]
    app = next(iter(cluster.nodes_of()))
    assert cluster.nodes_of() == {app: node}
    assert "started" in page.events()
    assert "nosuch/image:1" in page.start(image="nosuch/image:1")
    assert ["422" in words or "409" in words for words in browser.complaints()] == [True]
    page.is_sound()
    page.kill(app, app)
    until("it is shown as ended", lambda: [state for _, _, state in page.boxes()] != ["ready"], 20, page.seen)
    assert page.of_node(node, "cordon") == "cordoned"
    until("it is cordoned", lambda: "cordoned" in browser.text(f'[data-key="{node}"] .tags'), 10, page.seen)
    assert page.of_node(node, "uncordon") == "uncordoned"
    try:
        assert page.of_node(node, "freeze") == "frozen"
        until("the node is shown as away", lambda: page.nodes()[node] == "unreachable", 20, page.seen)
        page.is_sound()
        assert page.of_node(node, "thaw") == "it goes on"
    finally:
        DemoHosts(cluster.project).thaw(node)
    until("it is back", lambda: set(page.nodes().values()) == {"ready"}, 30, page.seen)
    page.stop(app, app)
    until("it is gone", lambda: (page.boxes(), cluster.nodes_of()) == ([], {}), 20, page.seen)


def test_with_the_keyboard_alone_an_app_is_started(cluster: Live, browser: Browser) -> None:
    page = Page(browser, cluster.project.settings.api_url)
    page.open()
    for _ in range(2):
        browser.press(TAB)
    browser.press(ENTER)
    until("the dialog is open", lambda: bool(browser.run("return document.getElementById('dialog').open")), 5)
    browser.type('[data-form="start"] [name="image"]', WEB_IMAGE)
    browser.press(ENTER)
    until("the app runs", lambda: [state for _, _, state in page.boxes()] == ["ready"], 20, page.seen)
    page.is_sound()
    page.escape()
    assert browser.run("return document.activeElement.id") == "start"


def test_in_reconcile_mode_a_person_declares_scales_and_stops_while_the_api_restarts(
    declared: Declared, browser: Browser
) -> None:
    project = declared.cluster.project
    page = Page(browser, project.settings.api_url)
    page.open(PHONE)
    assert page.start(image=WEB_IMAGE, name="web", replicas="2") == "web is declared"
    until("two are ready", lambda: page.ready("web") == 2, 40, page.seen)
    process = api_service(project).process()
    assert process is not None
    process.kill()
    process.wait(10)
    until("the page says that it is stale", lambda: page.link() == "stale", 20, page.seen)
    assert "the API does not answer" in browser.text(".link")
    bring_up.up(project, modes.RECONCILE)
    page.is_live(40)
    # That nobody listened, or did not serve yet, stands in the console, and nothing else.
    complaints = browser.complaints()
    assert all("ERR_" in words or "503" in words for words in complaints), complaints
    assert page.of_app("web", "scale", replicas="3") == "declared: 3"
    until("three are ready", lambda: page.ready("web") == 3, 40, page.seen)
    assert browser.text('[data-part="apps"][data-key="web"] .number') == "3/3"
    page.is_sound()
    before = declared.cluster.instances()["web"]
    assert page.log("web", "web")
    page.kill("web", "web")
    until("another start of it", lambda: declared.cluster.instances().get("web", before) != before, 20, page.seen)
    until("three are ready", lambda: page.ready("web") == 3, 40, page.seen)
    assert "killed" in page.events()
    page.is_sound()
    assert page.of_app("web", "stop") == "withdrawn"
    until("all are gone", lambda: page.boxes() == [], 40, page.seen)


def test_in_reconcile_mode_the_page_shows_an_update_that_is_taken_back_and_a_node_that_dies(
    declared: Declared, browser: Browser
) -> None:
    page, hosts = Page(browser, declared.cluster.project.settings.api_url), DemoHosts(declared.cluster.project)
    page.open()
    declared.put("web", replicas=3)
    until("three are ready", lambda: page.ready("web") == 3, 40, page.seen)
    until("the revision has served", lambda: browser.text('[data-key="web"] .rollout') == "", 40, page.seen)
    assert "declared" in page.of_app("web", "update", image="localhost/nothing/here:1")
    until("the update is shown", lambda: "Rollout" in browser.text('[data-key="web"] .rollout'), 20, page.seen)
    until("it has failed", lambda: "update-failed" in page.events(), 60, page.seen)
    until("three are ready", lambda: page.ready("web") == 3, 40, page.seen)
    page.is_sound()
    hosts.freeze("node-2")
    try:
        until("the node is lost", lambda: page.nodes()["node-2"] == "lost", NODE_TIMEOUT + 20, page.seen)
        until("three are ready elsewhere", lambda: page.ready("web") == 3, 40, page.seen)
        assert "node-lost" in page.events()
        page.is_sound()
        page.open(PHONE)
        assert page.nodes()["node-2"] == "lost"
    finally:
        hosts.thaw("node-2")
    until("it is back", lambda: page.nodes()["node-2"] == "ready", 40, page.seen)
