"""`scale` and `apps`: what is typed, what is said, and one line for each app."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.cli.apps.scale import ACTOR, AGENTS_ACTOR, said, wanted_replicas
from duckconf.cli.look.apps import line, note, row
from duckconf.cli.terminal.typed import joined, with_action, with_files
from duckconf.errors import BadInput


def test_the_files_of_apply_are_one_word_and_options_come_after_them() -> None:
    words = ["./inv", "apply", "a.yaml", "b, c.yaml", "--stack", "shop"]
    assert with_files(words) == ["./inv", "apply", "a.yaml\nb, c.yaml", "--stack", "shop"]
    assert with_files(["./inv", "apply", "--dry-run"]) == ["./inv", "apply", "--dry-run"]
    assert with_files(["./inv", "ps"]) == ["./inv", "ps"]


def test_several_words_of_scale_are_one_and_other_tasks_keep_theirs() -> None:
    assert joined(["./inv", "scale", "web=5", "db=2", "--wait"]) == ["./inv", "scale", "web=5,db=2", "--wait"]
    assert joined(["./inv", "scale", "web=5", "ps"]) == ["./inv", "scale", "web=5", "ps"]
    words = ["./inv", "start-app", "nginx", "--env", "A=b", "C=d"]
    assert joined(words) == words


def test_the_replicas_of_each_app_are_read() -> None:
    assert wanted_replicas("web=5,db=0") == {"web": 5, "db": 0}


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("web", "should be an app and a number such as web=5, got 'web'"),
        ("web=", "web: should be a whole number from 0 to 10000"),
        ("web=-1", "web: should be a whole number from 0 to 10000"),
        ("web=99999", "web: should be a whole number from 0 to 10000"),
        ("web=2,web=3", "web: is named twice"),
        ("Web=2", "got 'Web=2'"),
        ("web=1,,db=2", "got ''"),
    ],
)
def test_what_is_no_app_and_number_is_refused(typed: str, wrong: str) -> None:
    with pytest.raises(BadInput, match=wrong):
        wanted_replicas(typed)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadInput) as told:
        wanted_replicas("web=x,db=y")
    assert [fault.path for fault in told.value.faults] == ["web", "db"]


@pytest.mark.parametrize(
    ("before", "after", "actor", "words"),
    [
        (1, 2, ACTOR, "web: from 1 to 2 replicas; the loop starts web.2: ./inv apps"),
        (5, 1, ACTOR, "web: from 5 to 1 replica; the loop removes web.2 to web.5: ./inv apps"),
        (0, 3, AGENTS_ACTOR, "web: from 0 to 3 replicas; the agents start web to web.3: ./inv apps"),
        (2, 2, ACTOR, "web: 2 replicas already; nothing to change"),
    ],
)
def test_a_change_says_what_happens_next(before: int, after: int, actor: str, words: str) -> None:
    assert said("web", before, after, actor) == words


def instance(slot: int, node: str, status: str = "running", **more: Any) -> dict[str, Any]:
    return {"slot": slot, "node": node, "status": status, **more}


def entry(*instances: dict[str, Any]) -> dict[str, Any]:
    running = sum(one["status"] == "running" for one in instances)
    return {"name": "web", "image": "nginx", "running": running, "instances": list(instances)}


def test_an_app_is_one_line_whatever_the_number_of_its_instances() -> None:
    web = entry(
        instance(1, "n1", started=60.0, published=["8080:80/tcp"]),
        instance(2, "n2", started=90.0, published=["8080:80/tcp"]),
        instance(3, "n1", started=30.0),
        instance(4, "", "pending", note="no node fits: 2 cordoned"),
        instance(5, "n2", "starting"),
    )
    shown = line(web)
    assert [shown[key] for key in ("name", "ready", "nodes", "ports")] == ["web", "3/5", "n1 (2), n2 (2)", "8080:80/tcp"]
    assert shown["note"] == "web.4 pending: no node fits: 2 cordoned; 1 more, see ./inv ps"
    told = row(web)
    assert (told["replicas"], told["running"], told["started"]) == (5, 3, "1970-01-01T00:00:30Z")
    assert told["nodes"] == ["n1", "n2", "n1", "n2"]


def test_the_image_of_an_app_is_what_serves_also_after_an_update_that_failed() -> None:
    serves = [instance(slot, "n1", image="nginx:1") for slot in (1, 2)]
    failed = entry(*serves) | {"image": "nginx:2", "rollout": "revision 2 failed: it ended; revision 1 serves"}
    assert (line(failed)["image"], row(failed)["image"], row(failed)["serves"]) == ("nginx:1", "nginx:2", ["nginx:1"])
    assert line(entry(*serves, instance(3, "n2", image="nginx:2")))["image"] == "nginx:1, nginx:2"
    assert line(entry(instance(1, "", "pending")))["image"] == "nginx"


def test_an_app_that_is_as_desired_has_no_note_and_one_without_instances_no_age() -> None:
    assert note(entry(instance(1, "n1"))) == ""
    assert (line(entry())["ready"], line(entry())["age"], row(entry())["started"]) == ("0/0", "", None)


def test_an_action_and_the_name_that_it_is_for_are_one_word() -> None:
    assert with_action(["./inv", "secret", "set", "db", "--from-file", "f"]) == ["./inv", "secret", "set db", "--from-file", "f"]
    for words in (["./inv", "secret", "list", "ps"], ["./inv", "secret", "set"], ["./inv", "secret", "set", "--from-file", "f"]):
        assert with_action(words) == words
