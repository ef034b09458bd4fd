"""What an agent tells of an instance that serves, waits or has failed."""

from __future__ import annotations

from collections.abc import Callable

from controllers.beat import entries
from controllers.words import LastWords
from duckconf.codec import spec_hash, to_label
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.overview import AppView

WEB = App("web", "web", memory="1g")


def container(name: str, spec: str = "new", **more: object) -> Container:
    values: dict[str, object] = {
        "id": name,
        "name": name,
        "app": "web",
        "spec": spec,
        "state": "running",
        "node": "n1",
        "image": "web",
    }
    values |= {"node": "n1", "image": "web", "started": 1.0, **more}
    return Container(**values)  # type: ignore[arg-type]


def row(name: str, **more: object) -> AppView:
    return AppView("web", "n1", name, "web", "yes", "running", **more)  # type: ignore[arg-type]


def test_only_the_container_that_serves_is_ready_and_one_that_should_run_elsewhere_serves_too() -> None:
    told = entries([container("old", "old"), container("new")], [row("old", ready=True)])
    assert [(entry["container"], entry["ready"]) for entry in told] == [("old", True), ("new", False)]
    leaving = AppView("web", "n1", "old", "web", "no", "running")
    assert [entry["ready"] for entry in entries([container("old")], [leaving])] == [True]


def test_a_container_from_the_same_spec_in_other_words_has_the_hash_that_is_asked_for() -> None:
    label = to_label(App("web", "web", memory="1024m"))
    (told,) = entries([container("c", "other", manifest=label)], [row("c")], {"web": Instance(WEB)})
    assert told["spec"] == spec_hash(WEB)
    (told,) = entries([container("c", "other")], [row("c")], {"web": Instance(WEB)})
    assert told["spec"] == "other"


def test_a_failure_is_told_once_its_last_words_are_read_and_they_are_read_once() -> None:
    asked: list[tuple[str, Callable[[str], None]]] = []
    woken: list[bool] = []
    words = LastWords(lambda name, done: asked.append((name, done)), lambda: woken.append(True))
    failed = row("old", spec="new", failure="new ended 2 times")
    both = [container("old", "old"), container("new", "new", state="exited")]
    assert "failed" not in entries(both, [failed], {}, words.of([failed], both))[0]
    words.of([failed], both)
    assert [name for name, _ in asked] == ["new"]
    asked[0][1]("no database")
    told = entries(both, [failed], {}, words.of([failed], both))[0]
    assert (told["failed"], told["failure"], told["said"], woken) == ("new", "new ended 2 times", "no database", [True])
    words.of([row("old")], both)
    words.of([failed], both)
    assert len(asked) == 2


def test_what_has_no_container_failed_without_a_word() -> None:
    failed = AppView("web", "n1", "c", "web", "yes", "backoff", spec="new", failure="no such image")
    words = LastWords(lambda *_: None, lambda: None).of([failed], [])
    (told,) = entries([], [failed], {}, words)
    assert (told["failure"], told["said"], told["ready"]) == ("no such image", "", False)
