"""A container that somebody removed between the look and the action: no crash, no refusal, and no loop without a pause."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.news import outcome
from controllers.reconciler import Reconciler, Verdict
from duckconf.actions import Action, Remove, Restart, Start
from duckconf.codec import spec_hash
from duckconf.command import Command, Completed
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import EngineRefused, NotFound
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.placement import Placement
from duckconf.plan import Step
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.state.placements import PlacementBook
from tests.fakes import FakeNode

WEB = App("nginx", "web")
HOME = Placement("n1", "duckconf-web", 1)
LABELS = {"node": "n1", "duckconf.cluster": "demo"}
WORDS = (
    'Error: no container with name or ID "c" found: no such container',
    "Error response from daemon: No such container: c",
    "Error response from daemon: cannot start a container that is marked for removal",
    "Error response from daemon: removal of container c is already in progress",
)


def seen(state: str) -> Container:
    return Container("id", HOME.container, "n1", "web", spec_hash(WEB), WEB.image, state, 5.0, 1)


class Loop:
    def __init__(self, folder: Path) -> None:
        book = PlacementBook(folder / "placements.json")
        book.keep({"web": HOME})
        book.certain = True
        self.reconciler = Reconciler("demo", book, 20.0)

    def look(self, now: float, *containers: Container, apps: tuple[App, ...] = (WEB,)) -> Verdict:
        desired = Desired(instances_of(apps))
        return self.reconciler.decide(desired, ("n1",), {"n1": (now, containers)}, (), now)

    def acts(self, now: float, *containers: Container, apps: tuple[App, ...] = (WEB,)) -> list[type[Action]]:
        """What is begun; the container is not found where one should be there."""
        steps = self.look(now, *containers, apps=apps).decision.plan.steps
        for step in steps:
            failure = None if isinstance(step.action, Start) else NotFound("n1 has the container no more")
            self.reconciler.settle(step, failure, now, last=True)
        return [type(step.action) for step in steps]


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path)


class Refusing(FakeNode):
    """Its engine knows the container, and a moment later it does not."""

    def run(self, command: Command) -> Completed:
        return Completed(1, "", self.refusal) if command.argv[1] in ("start", "stop", "rm") else super().run(command)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("action", [Restart("n1", "c", "web"), Remove("n1", "c")])
def test_the_engines_words_for_it_are_no_refusal(words: str, action: Action) -> None:
    node = Refusing("n1", {"c": LABELS}, refusal=words)
    with pytest.raises(NotFound):
        execute(action, "demo", node)
    node.refusal = "Error: permission denied"
    with pytest.raises(EngineRefused):
        execute(action, "demo", node)


def test_one_that_is_gone_is_started_anew_at_once_and_not_counted_as_a_crash(loop: Loop) -> None:
    assert loop.acts(1.0, seen("exited")) == [Restart]
    assert (loop.reconciler.tries["web"].starts, loop.reconciler.tries["web"].strikes) == (0, 0)
    assert loop.acts(1.1) == [Start]
    (row,) = loop.look(2.0, seen("running")).apps
    assert (row.state, row.restarts) == ("running", 0)


@pytest.mark.parametrize(("state", "apps", "kind"), [("exited", (WEB,), Restart), ("running", (), Remove)])
def test_one_that_is_listed_and_never_found_is_tried_with_growing_pauses(
    loop: Loop, state: str, apps: tuple[App, ...], kind: type[Action]
) -> None:
    tried = [now for now in range(1, 301) if loop.acts(float(now), seen(state), apps=apps) == [kind]]
    assert tried[0] == 1
    assert len(tried) <= 9
    assert all(later - now >= 2 * (now - earlier) - 2 for earlier, now, later in zip(tried, tried[1:], tried[2:]))
    assert loop.reconciler.wake_after(("n1",), 300.0)
    assert "looking again" in loop.look(300.5, seen(state), apps=apps).decision.plan.notes["web"]


def test_it_is_told_as_what_it_is() -> None:
    event = outcome(Step("web", Restart("n1", "c", "web"), "c is exited"), NotFound("gone"), 0.1)
    assert (event.kind, event.message) == ("already-gone", "c is not on n1 any more")


class Taken(FakeNode):
    """A node on which the name of every new container is taken."""

    def run(self, command: Command) -> Completed:
        if command.argv[1] == "run":
            return Completed(125, "", 'Error: the container name "c" is already in use by 1f2e')
        return super().run(command)


def test_a_start_whose_name_is_taken_made_nothing_and_removes_nothing() -> None:
    labels = {"node": "n1", "duckconf.cluster": "demo", "duckconf.spec": spec_hash(WEB)}
    node = Taken("n1", {"c": dict(labels)})
    with pytest.raises(EngineRefused, match="already in use"):
        execute(Start("n1", "c", WEB), "demo", node)
    assert node.containers == {"c": labels}
