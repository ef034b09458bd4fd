"""The image of a revision is found out once, and all its instances run it, whatever its tag means later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.images import AGAIN, Images
from controllers.reconciler import Heard, Reconciler
from duckconf.actions import Pin, Start
from duckconf.codec import spec_hash, to_label
from duckconf.command import Command, Completed
from duckconf.desired import Desired
from duckconf.engine_output import Container, read_containers
from duckconf.errors import NodeRefused
from duckconf.image import read_pin
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.naming import LABEL_MANIFEST
from duckconf.pins import REDEPLOYED, Question
from duckconf.plan import Step
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.nodes.identify import answer, identify
from duckconf.reach.state.placements import FoundPlacements
from duckconf.reach.state.revisions import RevisionBook
from tests.fakes import FakeNode

NODES = ("n1", "n2", "n3")
WEB = App("reg.example/web:1", "web", replicas=3)
ONE, TWO = "1" * 64, "2" * 64
ONES = (f"reg@sha256:{ONE}",)
ABC, ALL = "sha256:" + "abc0" * 16, "sha256:" + "a11a" * 16
LACKS = Completed(125, "", "Error: sha256:1: image not known")


class Loop:
    """Passes of the reconciler over nodes on which each start makes a container from the image that the tag means there."""

    def __init__(self, folder: Path, tags: Mapping[str, str]) -> None:
        self.book = RevisionBook.at(folder / "history.json")
        self.reconciler = Reconciler("demo", FoundPlacements(), 20.0, history=self.book)
        self.tags = dict(tags)
        self.views: dict[str, list[Container]] = {node: [] for node in NODES}
        self.now = 0.0
        self.asked: list[Question] = []

    def once(self, app: App) -> list[Step]:
        """One pass; what was to be started has started, and questions are answered."""
        self.now += 10.0
        heard: dict[str, Heard] = {node: (self.now, tuple(found)) for node, found in self.views.items()}
        verdict = self.reconciler.decide(Desired(instances_of([app])), NODES, heard, (), self.now)
        steps = verdict.decision.plan.steps
        for step in steps:
            action = step.action
            self.views[action.node] = [copy for copy in self.views[action.node] if copy.name != action.container]
            if isinstance(action, Start):
                self.views[action.node].append(self.made(action))
            self.reconciler.settle(step, None, self.now, last=True)
        for question in verdict.questions:
            self.asked.append(question)
            found = question.image.removeprefix("sha256:") if "sha256" in question.image else self.tags.get(question.node, "")
            self.reconciler.images.learn(question, Pin(found, (f"reg@sha256:{found}",)) if found else None, self.now, heard=True)
        return list(steps)

    def made(self, action: Start) -> Container:
        app, image = action.app, action.pin.id if action.pin else self.tags.get(action.node) or ONE
        made = Container("", action.container, action.node, app.name, spec_hash(app), app.image, "running", 0.0)
        return replace(made, manifest=to_label(app), slot=action.slot, generation=action.generation, image_id=image)

    def until_rest(self, app: App) -> None:
        for _ in range(20):
            if not self.once(app) and not self.reconciler.images.to_ask((), (), self.now):
                self.once(app)

    @property
    def images(self) -> list[str]:
        return [copy.image_id for found in self.views.values() for copy in found]


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return Loop(tmp_path, {"n1": TWO, "n2": ONE, "n3": TWO})


def pins(steps: list[Step]) -> list[Pin | None]:
    return [step.action.pin for step in steps if isinstance(step.action, Start)]


def test_before_several_are_started_a_node_is_asked_and_all_run_its_image(loop: Loop) -> None:
    assert loop.once(WEB) == []
    assert [(item.node, item.image) for item in loop.asked] == [("n2", "reg.example/web:1")]
    assert pins(loop.once(WEB)) == [Pin(ONE, ONES)] * 3
    loop.until_rest(WEB)
    assert loop.images == [ONE] * 3
    assert loop.book.revisions["web"][-1].pin == Pin(ONE, ONES)


def test_where_the_image_is_to_be_pulled_one_instance_is_started_first(tmp_path: Path) -> None:
    loop = Loop(tmp_path, {})
    assert loop.once(WEB) == []
    assert [step.instance for step in loop.once(WEB)] == ["web"]
    assert pins(loop.once(WEB)) == [Pin(ONE)] * 2
    loop.until_rest(WEB)
    assert loop.images == [ONE] * 3
    assert loop.book.revisions["web"][-1].pin == Pin(ONE, ONES)


def test_an_app_that_is_declared_again_later_runs_what_the_tag_means_then(loop: Loop) -> None:
    loop.until_rest(WEB)
    loop.tags = dict.fromkeys(NODES, TWO)
    loop.until_rest(replace(WEB, name="other", replicas=1))
    loop.until_rest(WEB)
    assert loop.images == [TWO] * 3


def test_with_the_policy_always_no_node_is_asked_what_it_has(loop: Loop) -> None:
    assert [step.instance for step in loop.once(replace(WEB, pull_policy="always"))] == ["web"]


def test_a_single_instance_shows_its_image_and_is_not_asked_before(loop: Loop) -> None:
    one = replace(WEB, replicas=1)
    assert pins(loop.once(one)) == [None]
    loop.until_rest(one)
    assert loop.book.revisions["web"][-1].pin == Pin(ONE, ONES)
    assert loop.book.told("web")[-1]["image_id"] == ONE


def test_another_instance_and_a_rollback_run_the_image_of_the_revision_whatever_the_tag_means_now(loop: Loop) -> None:
    loop.until_rest(WEB)
    loop.tags = dict.fromkeys(NODES, TWO)
    more = replace(WEB, replicas=4)
    loop.until_rest(more)
    assert loop.images == [ONE] * 4
    loop.until_rest(replace(more, env={"A": "1"}))
    assert loop.images == [TWO] * 4
    loop.until_rest(more)
    assert loop.images == [ONE] * 4


def test_redeploy_takes_what_the_tag_means_now_and_asks_a_registry_once(loop: Loop) -> None:
    loop.until_rest(WEB)
    loop.tags = dict.fromkeys(NODES, TWO)
    again = replace(WEB, labels={REDEPLOYED: "now"})
    starts = [step.action for _ in range(10) for step in loop.once(again) if isinstance(step.action, Start)]
    assert [(start.fresh, start.pin is None) for start in starts] == [(True, True), (False, False), (False, False)]
    assert loop.images == [TWO] * 3


def test_what_runs_since_before_this_was_known_is_asked_and_not_restarted(loop: Loop) -> None:
    loop.until_rest(WEB)
    before = {node: list(found) for node, found in loop.views.items()}
    history = {"web": tuple(replace(item, pin=None) for item in loop.book.revisions["web"])}
    loop.book.keep(history)
    loop.views = {node: [replace(copy, image_id="") for copy in found] for node, found in before.items()}
    loop.reconciler.images = Images()
    assert loop.once(WEB) == []
    assert [item.container for item in loop.asked[-1:]] == ["duckconf-web"]


def test_a_process_that_is_killed_finds_the_image_of_the_one_that_runs(loop: Loop, tmp_path: Path) -> None:
    loop.until_rest(replace(WEB, replicas=1))
    again = Loop(tmp_path / "new", dict.fromkeys(NODES, TWO))
    again.views = loop.views
    (tmp_path / "new").mkdir()
    again.until_rest(WEB)
    assert again.images == [ONE] * 3


def test_an_image_that_is_named_by_its_digest_needs_no_other(loop: Loop) -> None:
    named = replace(WEB, image="reg.example/web@sha256:" + ONE)
    assert pins(loop.once(named)) == [None] * 3


def test_a_node_that_does_not_answer_is_asked_again_later() -> None:
    images, question = Images(), Question("web", "s", "n1", "x")
    assert images.to_ask([question], [], 0.0) == (question,)
    assert images.to_ask([question], [], 1.0) == ()
    images.learn(question, None, 1.0, heard=False)
    assert (images.to_ask([question], [], 2.0), images.to_ask([question], [], 1.0 + AGAIN)) == ((), (question,))
    assert not images.absent


def test_the_pin_of_a_revision_is_on_disk(loop: Loop, tmp_path: Path) -> None:
    loop.until_rest(WEB)
    assert RevisionBook.at(tmp_path / "history.json").revisions == loop.book.revisions


class Engine(FakeNode):
    """An engine that has these images, and pulls these."""

    has: tuple[str, ...] = ()

    def _run(self, options: list[str]) -> Completed:
        if any(image in options for image in self.has):
            return super()._run(options)
        return LACKS


def started(node: Engine, app: App, pin: Pin | None, *, fresh: bool = False) -> list[tuple[str, str]]:
    """Image and pull policy of each attempt."""
    execute(Start("n1", "c", app, pin=pin, fresh=fresh), "demo", node)
    runs = [command.argv for command in node.asked if "run" in command.argv[:2]]
    return [(argv[-1], next((word for word in argv if word.startswith("--pull")), "")) for argv in runs]


def test_a_pinned_start_uses_the_image_that_is_there_or_pulls_it_by_digest() -> None:
    pin, node = Pin(ONE, (f"reg.example/web@{ABC}",)), Engine("n1")
    node.has = (pin.reference,)
    assert started(node, WEB, pin) == [(pin.reference, "--pull=never")]
    other = Engine("n1")
    other.has = (f"reg.example/web@{ABC}",)
    assert started(other, WEB, pin) == [(pin.reference, "--pull=never"), (f"reg.example/web@{ABC}", "")]


@pytest.mark.parametrize(("policy", "tried"), [("", 2), ("never", 1)])
def test_a_node_that_has_another_image_under_the_tag_refuses_by_name_with_the_next_step(policy: str, tried: int) -> None:
    node = Engine("n1")
    node.has = (WEB.image,)
    with pytest.raises(NodeRefused) as refused:
        started(node, replace(WEB, pull_policy=policy), Pin(ONE, (f"reg.example/web@{ABC}",)))
    for words in ("reg.example/web:1", ONE[:12], "./inv push-image reg.example/web:1 --to n1", "./inv redeploy web"):
        assert words in refused.value.why
    assert len([command for command in node.asked if command.argv[:2] == ("docker", "run")]) == tried


def test_a_fresh_start_asks_a_registry_and_takes_what_is_there_when_none_answers() -> None:
    node = Engine("n1")
    node.has = ("--pull=always",)
    assert started(node, WEB, None, fresh=True) == [(WEB.image, "--pull=always")]
    local = Engine("n1")
    local.has = ("localhost/web",)
    assert started(local, replace(WEB, image="localhost/web"), None, fresh=True) == [("localhost/web", "")]


def described_as(image_id: str, *digests: str, own: str = "") -> str:
    return json.dumps([{"Id": image_id, "RepoDigests": list(digests), **({"Digest": own} if own else {})}], indent=2)


def test_a_node_tells_the_image_of_a_container_and_of_a_name() -> None:
    described = described_as(f"sha256:{ONE}", f"reg.example/web@{ABC}")

    class Told(FakeNode):
        def run(self, command: Command) -> Completed:
            self.asked.append(command)
            return Completed(0, f"sha256:{ONE}\n" if "--type=container" in command.argv else described, "")

    node = Told("n1")
    by_name = identify(Question("web", "s", "n1", WEB.image), node)
    assert by_name == identify(Question("web", "s", "n1", container="c"), node)
    assert by_name == Pin(ONE, (f"reg.example/web@{ABC}",))
    heard: list[object] = []
    answer(Question("web", "s", "n1", WEB.image), node, lambda pin, failure: heard.append((pin, failure)))
    assert heard == [(by_name, None)]


def test_the_digest_of_the_images_of_all_architectures_is_pulled_before_that_of_one() -> None:
    told = described_as(ONE, f"reg.example/web@{ABC}", f"reg.example/web@{ALL}", own=ABC)
    assert read_pin("n1", Completed(0, told, "")) == Pin(ONE, (f"reg.example/web@{ALL}", f"reg.example/web@{ABC}"))


def test_an_image_that_was_built_here_is_in_no_registry() -> None:
    assert read_pin("n1", Completed(0, described_as(ONE, f"localhost/web@{ABC}"), "")) == Pin(ONE, ())
    assert read_pin("n1", Completed(1, "", "no such image")) is None


def test_a_container_that_was_started_by_id_is_listed_under_the_name_that_its_app_has() -> None:
    row = {"Id": "1", "Names": ["c"], "Image": f"sha256:{ONE}", "ImageID": ONE, "State": "running", "StartedAt": 1}
    listing = json.dumps([{**row, "Labels": {LABEL_MANIFEST: to_label(WEB)}}, {**row, "Labels": {}}])
    first, second = read_containers("n1", Completed(0, listing, ""))
    assert (first.image, first.image_id, second.image) == (WEB.image, ONE, f"sha256:{ONE}")
