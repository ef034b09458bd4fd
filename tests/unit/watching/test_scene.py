"""The screen of `watch`: what is on it, at any size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckconf.events import Event
from duckconf.watching.lists import shares
from duckconf.watching.scene import Scene, drawn
from duckconf.watching.spans import CHOSEN, LIT, length
from duckconf.watching.view import APPS, HELP, INSTANCES, LOG, NODES, PANES, View
from tests.unit.watching.pictures import EVENTS, NOW, picture, screen


def test_a_small_cluster_is_seen_whole_in_the_usual_terminal() -> None:
    shown = screen(picture())
    assert shown[0].split() == ["demo", "reconcile", "mode", "·", "✕", "3", "nodes,", "1", "lost", "·", "2", "apps,", "2", "not",
                                "ready", "●", "live"]  # fmt: skip
    for words in (
        "▶ sensor 0s           3 nodes asked",
        "④ actuator 5s         node-3: started app-1.3",
        "▸ node-1 ● ready        2s 2/2   ●app-1 ●app-2",
        "  node-2 ✕ lost        30s 0/2   ✕app-1.2 ✕app-2.2",
        "  app-2 ◔ 2/3 ready",
        "919.0 started web node-1: attempt 19",
    ):
        assert any(words in line for line in shown), words
    assert shown[-1].endswith("q quit")


def test_four_hundred_instances_on_forty_nodes_are_counted_and_the_chosen_node_is_in_sight() -> None:
    shown = screen(picture(40, 10), View(chosen={NODES: "node-20"}))
    assert any("▸ node-20 ● ready" in line and line.endswith("+6") for line in shown)
    assert any(line.startswith(" NODES 40  ") and "of 40" in line for line in shown)
    deep = screen(picture(40, 10), View(pane=INSTANCES, chosen={INSTANCES: "app-9.33"}), 120, 40)
    assert any("▸ app-9.33  node-33 ● ready" in line for line in deep)


@settings(max_examples=60, deadline=None)
@given(
    columns=st.integers(1, 200), rows=st.integers(1, 60), nodes=st.integers(0, 12), each=st.integers(0, 5),
    pane=st.sampled_from(PANES), shows=st.sampled_from(["lists", HELP, LOG]), stale=st.sampled_from([0.0, 30.0]),
)  # fmt: skip
def test_the_screen_has_the_size_of_the_terminal(
    columns: int, rows: int, nodes: int, each: int, pane: str, shows: str, stale: float
) -> None:
    scene = Scene(picture(nodes, each), NOW, EVENTS, stale, "no API answers", log=("a line",) * 90)
    lines = drawn(scene, View(pane=pane, shows=shows, asks="kill it?"), columns, rows)
    assert len(lines) == rows
    assert all(length(line) <= columns for line in lines)


def test_a_terminal_that_is_too_small_says_so_and_still_counts() -> None:
    assert screen(picture(), columns=20, rows=5)[:3] == ["demo: live", "✕ 3 nodes, 1 lost", "2 apps, 2 not ready"]


def test_an_empty_cluster_says_how_to_begin() -> None:
    empty = {**picture(0, 0), "steps": {}}
    shown = "\n".join(screen(empty, events=()))
    assert "./inv start-app nginx" in shown
    assert "no nodes are in the inventory" in shown


def test_before_the_first_picture_the_reason_is_shown() -> None:
    assert "no API answers at x" in screen({}, why="no API answers at x")[1]


def test_a_stale_picture_is_called_so_with_its_age_and_the_reason() -> None:
    shown = screen(picture(), stale=14.0, why="no API answers at x")
    assert shown[0].endswith("✕ stale")
    assert "14s old; connecting again. no API answers at x" in shown[1]
    assert "▸ node-1" in "\n".join(shown)


def test_a_step_is_lit_for_a_moment_also_without_color() -> None:
    lines = drawn(Scene(picture(), NOW), View(), 80, 24)
    lit = [span.text for line in lines for span in line if span.style == LIT]
    assert [text.split()[:2] for text in lit] == [["▶", "sensor"]]


def test_push_mode_says_that_it_has_no_sensor_and_the_call_on_a_node_is_shown() -> None:
    pushed = picture(mode="push")
    pushed["steps"] = {"sensor": {"absent": "push mode has none: nothing is repaired"}, "actuator": {"words": "run", "at": NOW}}
    pushed["calls"] = {"a": {"node": "node-1", "words": "start app-7"}}
    shown = "\n".join(screen(pushed))
    assert "✕ sensor: none" in shown
    assert "push mode has none: nothing is repaired" in shown
    assert "→ start app-7" in shown


def test_what_waits_is_listed_with_its_reason_and_an_update_with_its_progress() -> None:
    waiting = picture()
    waiting["instances"]["db"] = {"app": "db", "status": "pending", "note": "no node has room"}
    waiting["apps"]["app-1"] |= {"rollout": "1 of 3 updated", "updated": 1}
    waiting["instances"]["app-1"]["outdated"] = True
    waiting["instances"]["node-1/x"] = {"app": "x", "node": "node-1", "status": "running", "surplus": True, "container": "x"}
    shown = "\n".join(screen(waiting))
    assert "○ db no node has room" in shown
    assert "⟳ 1/3 1 of 3 updated" in shown
    assert "(●x)" in shown
    assert "~●app-1 " in shown


def test_nothing_that_others_provide_reaches_the_terminal_as_a_command() -> None:
    odd = "\x1b]0;owned\x07\x1b[2J\nnext\tè 世界"
    bad = picture()
    bad["instances"]["app-1"] |= {"note": odd, "app": odd, "image": odd, "health": odd}
    bad["nodes"]["node-1"] |= {"reason": odd, "status": odd}
    bad["steps"]["sensor"]["words"] = odd
    bad["faults"] = [odd]
    for view in (View(), View(pane=INSTANCES), View(shows=LOG, log=odd)):
        lines = drawn(Scene(bad, NOW, (Event("x", odd),), 3.0, odd, {odd: 1.0}, odd, (odd,)), view, 100, 40)
        text = "".join(span.text for line in lines for span in line)
        assert not {sign for sign in text if ord(sign) < 32 or 127 <= ord(sign) < 160}
        assert "\\x1b" in text


def test_a_question_and_the_end_of_a_task_are_said() -> None:
    assert "y/n  kill web on node-1?" in "\n".join(screen(picture(), View(asks="kill web on node-1?"), 50))
    assert screen(picture(), told="./inv drain node-2: done")[-2] == " ./inv drain node-2: done"
    assert screen(picture(), running={"drain node-2": 4.0}, told="old")[-2] == " old  ◔ ./inv drain node-2 (4s)"


def test_a_log_ends_with_its_newest_line_and_can_be_scrolled_up() -> None:
    lines = tuple(f"line {number}" for number in range(100))
    assert screen(picture(), View(shows=LOG, log="web"), log=lines)[-4] == "line 99"
    assert screen(picture(), View(shows=LOG, log="web", up=10), log=lines)[-4] == "line 89"
    assert screen(picture(), View(shows=LOG, log="web", up=10**6), log=lines)[1] == "line 0"


def test_exactly_one_line_is_chosen() -> None:
    for pane in PANES:
        lines = drawn(Scene(picture(), NOW, EVENTS), View(pane=pane), 80, 24)[:-2]
        assert sum(any(span.style == CHOSEN for span in line) for line in lines) == 1


@pytest.mark.parametrize(
    ("wants", "room", "given"),
    [
        ([(4, True), (3, False), (21, False)], 30, [4, 3, 21]),
        ([(41, True), (11, False), (21, False)], 17, [11, 3, 3]),
        ([(4, False), (11, True), (21, False)], 20, [4, 11, 5]),
        ([(41, True), (11, False), (21, False)], 4, [3, 0, 0]),
        ([(4, True), (4, False)], 0, [0, 0]),
    ],
)
def test_the_lists_share_the_room(wants: list[tuple[int, bool]], room: int, given: list[int]) -> None:
    assert shares(wants, room) == given


def test_the_line_of_what_is_chosen_says_more_of_it() -> None:
    def last(found: dict[str, Any], view: View) -> str:
        return screen(found, view)[-3]

    found = picture()
    found["nodes"]["node-2"] |= {"cordoned": True, "zone": "b"}
    assert (
        last(found, View(chosen={NODES: "node-2"})) == " node-2: lost; no answer for 30 s; cordoned: it gets no new apps; zone b"
    )
    found["apps"]["app-1"] |= {"revision": "r7", "stack": "shop"}
    assert last(found, View(pane=APPS)) == " app-1: localhost/duckconf/web; revision r7; of stack shop"
    assert last(found, View(pane=INSTANCES)) == " app-1: ready; started 1m ago; localhost/duckconf/web"
