"""Updates in agents mode on real hosts: by the scheduler step by step, across killed services and without the API, taken back
when they fail, and undone by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.browser import PHONE, PROJECTOR, Browser
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import NGINX_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.e2e.agents.fleet import APPS, answers, events, killed, nodes, systemctl
from tests.e2e.conftest import NODE_TIMEOUT, NODES, Live
from tests.e2e.page import Page, browser
from tests.e2e.screens import await_words
from tests.e2e.typed import at_terminal
from tests.e2e.updated import QUICK, env_of, floor, revisions
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["browser"]


@pytest.fixture
def web(running: Live, api: ApiClient) -> Iterator[Live]:
    """The cluster, from which the app `web` goes in the end."""
    yield running
    api.call("DELETE", "/app/web")
    until("it is gone", lambda: running.once_each(APPS), 60)


def served(cluster: Live, *words: str) -> None:
    """`web` runs, and its first revision has served."""
    done = cluster.inv("start-app", NGINX_IMAGE, "--name", "web", "--env", "A=1", *QUICK, *words, "--wait")
    assert done.returncode == 0, done.stderr
    until("the first revision has served", lambda: revisions(cluster, "web") == [(1, "done")], 40)


def test_an_update_goes_on_although_scheduler_and_api_are_killed_and_never_falls_below_its_number(web: Live) -> None:
    served(web, "--replicas", "6")
    with floor(web, "web") as counts:
        assert web.inv("update", "web", "--env", "A=2").returncode == 0
        for share, unit in ((1, "duckconf-scheduler"), (2, "duckconf-api"), (4, "duckconf-scheduler")):
            until("it is on its way", lambda share=share: env_of(web, "web").count("A=2") >= share, 60)  # type: ignore[misc]
            until("systemd started it again", killed(web, "control-1", unit), 30)
        until("the API answers", lambda: answers_now(web))
        until("it is done", lambda: revisions(web, "web") == [(1, "done"), (2, "done")], 60)
        until("the old ones are gone", lambda: env_of(web, "web") == ["A=2"] * 6, 40)
    assert (min(counts) >= 6, max(counts) <= 6 + 3) == (True, True), [min(counts), max(counts)]
    assert {web.instances()[name][1] for name in ("web", "web.2", "web.3", "web.4", "web.5", "web.6")} == set(NODES)


def answers_now(cluster: Live) -> bool:
    return cluster.inv("history", "web").returncode == 0


def test_what_fails_is_taken_back_with_its_last_words_and_a_person_can_go_back_too(web: Live, api: ApiClient) -> None:
    served(web, "--replicas", "3")
    before = web.instances()
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    with floor(web, "web") as counts:
        broken = web.inv("update", "web", "--entrypoint", "sh", "--command", "-c 'echo no database; exit 3'", "--wait")
        assert (broken.returncode, broken.stdout) == (1, "")
        for words in ("revision 2 failed", "its last output: no database", "revision 1 serves"):
            assert words in broken.stderr
        assert "Traceback" not in broken.stderr
        missing = web.inv("update", "web", "--image", "localhost/nothing/here:1", "--wait")
        assert (missing.returncode, "revision 3 failed" in missing.stderr) == (1, True), missing.stderr
        assert "revision 2 failed, so the update builds on what serves" in missing.stderr
        assert "--entrypoint" not in (again := web.inv("update", "web", "--env", "B=1", "--dry-run").stdout), again
        assert web.inv("update", "web", "--image", "localhost/nothing/here:1").stderr.count("inv redeploy web") == 1
        until("the first revision runs alone", lambda: web.instances() == before, 40)
    assert min(counts) >= 3
    assert web.inv("apps").stdout.splitlines()[4].split()[2] == "3/3"
    assert revisions(web, "web") == [(1, "done"), (2, "failed"), (3, "failed")]
    back = web.inv("rollback", "web", "--wait")
    assert (back.returncode, "revision 4 runs" in back.stdout) == (0, True), back.stderr
    assert web.instances() == before
    kinds = [event["kind"] for event in api.call("GET", f"/events?since={cursor}")["events"] if event.get("app") == "web"]
    assert kinds.count("update-failed") == 2
    assert "revision 9" in web.inv("rollback", "web", "--to", "9").stderr


def test_an_update_rests_while_it_is_paused_and_goes_on_with_one_port_of_the_node_at_a_time(web: Live) -> None:
    served(web, "--port", "18092:80")
    assert web.inv("pause", "web").returncode == 0
    assert web.inv("update", "web", "--env", "A=2").returncode == 0
    until("the scheduler has seen it", lambda: revisions(web, "web")[-1] == (2, ""), 40)
    assert env_of(web, "web") == ["A=1"]
    assert "paused" in web.inv("apps").stdout
    rests = web.inv("diff")
    assert (rests.returncode, "revision 2: 0 of 1 instance updated, paused" in rests.stdout) == (0, True), rests
    resumed = web.inv("resume", "web")
    assert resumed.returncode == 0
    until("it is done", lambda: revisions(web, "web")[-1] == (2, "done"), 40)
    assert env_of(web, "web") == ["A=2"]


def test_an_update_that_the_api_cannot_lead_rests_and_what_runs_goes_on(web: Live, api: ApiClient) -> None:
    served(web, "--replicas", "3")
    assert web.inv("update", "web", "--env", "A=2").returncode == 0
    until("it is on its way", lambda: env_of(web, "web").count("A=2") >= 1, 40)
    assert web.inv("stop-api").returncode == 0
    try:
        until("a killed one is healed meanwhile", lambda: web.running()["web"] >= 3)
        web.engine.must("kill", web.instances()["web.3"][0])
        until("it is healed", lambda: web.running()["web"] >= 3, 40)
    finally:
        assert web.inv("start-api").returncode == 0
    until("the API answers", lambda: answers(api))
    until("it is done", lambda: revisions(web, "web") == [(1, "done"), (2, "done")], 60)
    until("the old ones are gone", lambda: env_of(web, "web") == ["A=2"] * 3, 40)


def test_a_node_that_freezes_in_the_middle_holds_up_nobody_and_nothing_runs_twice_in_the_end(web: Live, api: ApiClient) -> None:
    served(web, "--replicas", "6")
    hosts = DemoHosts(web.project)
    assert web.inv("update", "web", "--env", "A=2").returncode == 0
    until("it is on its way", lambda: env_of(web, "web").count("A=2") >= 1, 40)
    try:
        hosts.freeze("node-2")
        # The frozen node's own go elsewhere, and its containers still count on the shared engine.
        until("all run elsewhere", lambda: placed(api).isdisjoint({"", "node-2"}), NODE_TIMEOUT + 60)
        until("it is done", lambda: revisions(web, "web") == [(1, "done"), (2, "done")], 90)
    finally:
        hosts.thaw("node-2")
    until("the old ones are gone", lambda: env_of(web, "web") == ["A=2"] * 6, 60)


def placed(api: ApiClient) -> set[str]:
    return {one["node"] for one in api.call("GET", "/app/web")["instances"]}


@contextmanager
def rebalancing_by_itself(cluster: Live) -> Iterator[None]:
    """As with `duckconf_rebalance: auto` in the inventory, of which the role writes this file."""

    def be(mode: str) -> None:
        config, pattern = "/etc/duckconf/control-plane.json", f's/"rebalance": "[a-z]*"/"rebalance": "{mode}"/'
        cluster.engine.must("exec", cluster.host("control-1"), "sed", "-i", pattern, config)
        assert f'"rebalance": "{mode}"' in cluster.engine.must("exec", cluster.host("control-1"), "cat", config)
        systemctl(cluster, "control-1", "restart", "duckconf-scheduler")

    be("auto")
    try:
        yield
    finally:
        be("manual")


def test_by_itself_it_begins_when_a_node_can_take_instances_again_and_goes_on_without_a_pause(web: Live, api: ApiClient) -> None:
    def known() -> list[str]:
        found: list[str] = api.call("GET", "/rebalance")["progress"]["known"]
        return found

    with rebalancing_by_itself(web):
        assert web.inv("cordon", NODES[2]).returncode == 0
        until("the scheduler knows the others", lambda: known() == [*NODES[:2]])
        served(web, "--replicas", "6")
        before = max(event["time"] for event in events(api))
        assert web.inv("uncordon", NODES[2]).returncode == 0
        until("the nodes are level", lambda: {node["apps"] for node in nodes(api)} == {3}, 40)
        until("it is over", lambda: not api.call("GET", "/rebalance")["under_way"])

    def steps_told() -> list[tuple[str, float]]:
        told = [event for event in events(api) if event["time"] > before]
        return [(event["kind"], event["time"]) for event in told if event["kind"] in ("uncordoned", "rebalancing", "rebalanced")]

    # The last one is told a moment after it is over.
    until("all is told", lambda: [kind for kind, _ in steps_told()].count("rebalanced") >= 2, 10, lambda: str(steps_told()))
    steps = steps_told()
    assert [kind for kind, _ in steps] == ["uncordoned", "rebalancing", "rebalanced", "rebalancing", "rebalanced"]
    # News of the node and of the instance that is ready begin the next move, not the interval of 10 s.
    assert (steps[1][1] - steps[0][1] < 5, steps[3][1] - steps[2][1] < 5) == (True, True), steps
    assert known() == [*NODES]


def test_watch_kills_by_a_key_and_is_stale_while_the_api_is_away(running: Live, tmp_path: Path) -> None:
    app = APPS[0]
    with at_terminal(running, tmp_path / "watch", 110, 32, "watch") as shown:
        await_words(shown, "agents mode", "● scheduler running", f"●{app}")
        shown.types(b"\tk")
        await_words(shown, f"kill {app} on", "The agent of its node will start it again")
        shown.types(b"y")
        await_words(shown, f"kill-app {app}: {app} killed", f"restarted {app}")
        systemctl(running, "control-1", "stop", "duckconf-api")
        await_words(shown, "✕ stale", "connecting again")
        systemctl(running, "control-1", "start", "duckconf-api")
        await_words(shown, "● live", seconds=40)
        shown.types(b"q")
        assert shown.process.wait(timeout=20) == 0


def test_the_page_asks_for_the_token_once_and_shows_a_failed_update_a_lost_node_and_a_restart_of_the_api(
    web: Live, browser: Browser
) -> None:
    page, hosts = Page(browser, web.project.settings.api_url), DemoHosts(web.project)
    browser.forget()
    page.open(PHONE, until_live=False)
    until("the token is asked for", lambda: bool(browser.text('[data-form="open"]')), 20, page.seen)
    assert "not a token of this cluster" in page.act("open", token="nobody")
    browser.type('[data-form="open"] [name="token"]', (web.project.state / "operator.token").read_text().strip())
    browser.click('[data-form="open"] button')
    page.is_live()
    assert {state for name, state in page.nodes().items()} == {"ready"}
    assert page.start(image=NGINX_IMAGE, name="web", replicas="3") == "web is declared"
    until("three are ready", lambda: page.ready("web") == 3, 60, page.seen)
    browser.size(*PROJECTOR)
    assert page.log("web", "web.2") == "it has printed nothing"
    page.kill("web", "web.2")
    until(
        "its agent was asked, and has healed it",
        lambda: ("killed" in page.events(), page.ready("web")) == (True, 3),
        40,
        page.seen,
    )
    until("the first revision has served", lambda: revisions(web, "web") == [(1, "done")], 40)
    failed = page.events().count("update-failed")
    assert "declared" in page.of_app("web", "update", image="localhost/nothing/here:1")
    until("it has failed", lambda: page.events().count("update-failed") > failed, 90, page.seen)
    systemctl(web, "control-1", "restart", "duckconf-api")
    until("the page has noticed", lambda: page.link() == "stale" or "ERR_" in " ".join(browser.complaints()), 20, page.seen)
    page.is_live(40)
    until("three are ready", lambda: page.ready("web") == 3, 60, page.seen)
    assert page.of_node("node-3", "drain") == "its apps move"
    until(
        "it is empty", lambda: (page.ready("web"), "node-3" in {node for node, *_ in page.boxes()}) == (3, False), 40, page.seen
    )
    assert page.of_node("node-3", "uncordon") == "uncordoned"
    hosts.freeze("node-2")
    try:
        until("the node is shown as away", lambda: page.nodes()["node-2"] == "unreachable", NODE_TIMEOUT + 20, page.seen)
        until("three are ready elsewhere", lambda: page.ready("web") == 3, 60, page.seen)
    finally:
        hosts.thaw("node-2")
    until("it is back", lambda: page.nodes()["node-2"] == "ready", 40, page.seen)
    browser.complaints()
    page.is_sound()
