"""What a key means: what is chosen, what is asked, what is done, and what a mode cannot do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from duckconf.watching.keys import keys_in
from duckconf.watching.view import APPS, HELP, INSTANCES, LISTS, LOG, NODES, NOTHING, Do, View, chosen_in, listed, pressed
from tests.unit.watching.pictures import picture


def after(*keys: str, view: View | None = None, mode: str = "reconcile") -> tuple[View, Do]:
    view, do = view or View(), NOTHING
    for key in keys:
        view, do = pressed(view, key, picture(mode=mode))
    return view, do


def test_the_lists_are_walked_through_and_their_ends_hold() -> None:
    assert chosen_in(picture(), after("down")[0]) == "node-2"
    assert chosen_in(picture(), after("down", "down", "down", "down")[0]) == "node-3"
    assert chosen_in(picture(), after("end", "page-up", "up")[0]) == "node-1"
    assert chosen_in(picture(), after("tab", "end")[0]) == "app-2"
    assert [after(*["tab"] * number)[0].pane for number in range(4)] == [NODES, APPS, INSTANCES, NODES]
    assert after("back-tab")[0].pane == INSTANCES


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    assert listed(picture(11, 1), View(), NODES)[-3:] == ["node-9", "node-10", "node-11"]


def test_what_was_chosen_and_went_makes_room_for_what_comes_next() -> None:
    left = picture()
    del left["nodes"]["node-2"]
    assert chosen_in(left, View(chosen={NODES: "node-2"})) == "node-3"
    del left["nodes"]["node-3"]
    assert chosen_in(left, View(chosen={NODES: "node-2"})) == "node-1"


def test_enter_lists_the_instances_of_what_is_chosen_and_escape_all_again() -> None:
    view, _ = after("down", "down", "enter")
    assert listed(picture(), view, INSTANCES) == ["app-1.3", "app-2.3"]
    assert listed(picture(), after("tab", "enter")[0], INSTANCES) == ["app-1", "app-1.2", "app-1.3"]
    assert after("escape", view=view)[0] == replace(view, pane=NODES, of=("", ""))


@pytest.mark.parametrize(
    ("keys", "asks", "words"),
    [
        ("f", "freeze node-1?", ("stop-node", "node-1")),
        ("d", "drain node-1?", ("drain", "node-1")),
        (("tab", "tab", "k"), "kill app-1 on node-1? The loop will start it again", ("kill-app", "app-1")),
        (("tab", "k"), "kill app-1 on node-1, one of 2?", ("kill-app", "app-1")),
        (("tab", "tab", "end", "f"), "freeze node-3?", ("stop-node", "node-3")),
    ],
)
def test_what_destroys_asks_once(keys: tuple[str, ...], asks: str, words: tuple[str, ...]) -> None:
    view, do = after(*keys)
    assert (view.asks.startswith(asks), do) == (True, NOTHING)
    assert after("y", view=view)[1] == Do(run=words)
    for other in ("n", "k", "enter", "escape", "q", "down"):
        refused, nothing = after(other, view=view)
        assert (refused.asks, refused.said, nothing) == ("", "nothing was done", NOTHING)
        assert after("y", view=refused)[1] == NOTHING


@pytest.mark.parametrize(("key", "task"), [("c", "cordon"), ("u", "uncordon"), ("t", "start-node")])
def test_what_can_be_taken_back_is_done_at_once(key: str, task: str) -> None:
    assert after("down", key)[1] == Do(run=(task, "node-2"))


@pytest.mark.parametrize(
    ("keys", "mode", "said"),
    [
        ("d", "push", "push mode moves no apps: c keeps new ones off node-1"),
        ("k", "reconcile", "k kills an app or an instance: Tab goes there"),
        (("tab", "c"), "agents", "this key is for a node"),
        (("tab", "tab", "down", "k"), "agents", "app-1.2 does not run (unreachable): ./inv explain app-1.2"),
        ("l", "reconcile", "l shows the log of an app or an instance"),
        ("z", "push", "z does nothing here; ? shows the keys"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_use_instead(keys: tuple[str, ...], mode: str, said: str) -> None:
    view, do = after(*keys, mode=mode)
    assert (view.said.startswith(said), do) == (True, NOTHING), view.said


def test_an_instance_without_a_node_is_not_frozen_and_nothing_is_done_without_a_picture() -> None:
    waiting = picture(1, 0)
    waiting["instances"]["db"] = {"app": "db", "note": "no room"}
    assert pressed(View(pane=INSTANCES), "f", waiting)[0].said == "db has no node yet: no room"
    for key in ("k", "f", "l", "enter", "down", "end", "escape"):
        assert pressed(View(), key, {})[1] == NOTHING


def test_a_container_that_nobody_asks_for_is_killed_by_its_own_name() -> None:
    found = picture(1, 0)
    found["instances"]["node-1/old"] = {"app": "x", "node": "node-1", "status": "running", "surplus": True, "container": "old"}
    view, _ = pressed(View(pane=INSTANCES), "k", found)
    assert view.then == ("kill-app", "old")


def test_a_log_is_opened_scrolled_and_closed() -> None:
    view, do = after("tab", "l")
    assert (view.shows, do.log[:3]) == (LOG, ("logs", "app-1", "--follow"))
    assert after("up", "page-up", "down", view=view)[0].up == 10
    closed, do = after("escape", view=view)
    assert (closed.shows, do) == (LISTS, Do(close=True))
    assert after("l", mode="agents")[1].log[1] == "agent@node-1"


def test_help_comes_and_goes_and_q_quits() -> None:
    view, _ = after("?")
    assert view.shows == HELP
    assert after("q", view=view) == (View(), NOTHING)
    assert after("q")[1] == Do(quit=True)


def test_keys_are_found_in_what_a_terminal_sends() -> None:
    assert keys_in("\x1b[A\x1bOB\x1b[5~\x1b[Z\tq\r") == (["up", "down", "page-up", "back-tab", "tab", "q", "enter"], "")
    assert keys_in("\x1b") == (["escape"], "")
    assert keys_in("k\x1b[") == (["k"], "\x1b[")
    assert keys_in("\x1b[99;5u?") == (["?"], "")
    assert keys_in("a\x1b[200~ky\x1b[201~b") == (["a", "b"], "")
    assert keys_in("a\x1b[200~ky") == (["a"], "\x1b[200~ky")
