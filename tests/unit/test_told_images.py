"""In agents mode, one instance of a revision finds out which image it runs, and the agents of the others are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controllers.reconciler import Heard, Reconciler, Verdict
from duckconf.actions import Pin, Start
from duckconf.codec import spec_hash, to_label
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.naming import repository
from duckconf.pins import Question, found_out
from duckconf.reach.state.placements import FoundPlacements
from duckconf.share import read_share
from duckconf.told_image import ToldImage, told_from_json, told_to_json

WEB = App("reg.example/web:1", "web", replicas=3)
SPEC = spec_hash(WEB)
PIN = Pin("1" * 64, (f"reg.example/web@sha256:{'a' * 64}",))
RUNS = Container("1", "web", "n1", "web", SPEC, WEB.image, "running", 0.0, 1, manifest=to_label(WEB))


class Agent:
    """The passes of the agent of n1, which runs slot 1 as it is told."""

    def __init__(self) -> None:
        self.reconciler = Reconciler("demo", FoundPlacements(), 20.0, only_mine=True)
        self.now = 0.0

    def once(self, image: ToldImage | None, app: App = WEB, *containers: Container) -> Verdict:
        self.now += 10.0
        instance = Instance(app, 1, "n1", 1, image=image)
        heard: dict[str, Heard] = {"n1": (self.now, containers)}
        verdict = self.reconciler.decide(Desired({"web": instance}), ["n1"], heard, (), self.now)
        for step in verdict.decision.plan.steps:
            self.reconciler.settle(step, None, self.now, last=True)
        return verdict

    def learn(self, verdict: Verdict, pin: Pin | None) -> None:
        for question in verdict.questions:
            self.reconciler.images.learn(question, pin, self.now, heard=True)

    def told(self, image: ToldImage | None) -> list[dict[str, Any]]:
        return found_out([Instance(WEB, 1, "n1", 1, image=image)], self.reconciler.images.learned)


def starts(verdict: Verdict) -> list[tuple[Pin | None, bool]]:
    return [(step.action.pin, step.action.fresh) for step in verdict.decision.plan.steps if isinstance(step.action, Start)]


def test_the_first_asks_its_node_starts_that_image_and_tells_of_it() -> None:
    agent = Agent()
    asks = agent.once(ToldImage(first=True))
    assert (starts(asks), asks.questions) == ([], (Question("web", SPEC, "n1", WEB.image),))
    agent.learn(asks, PIN)
    assert starts(agent.once(ToldImage(first=True))) == [(PIN, False)]
    assert agent.told(ToldImage(first=True)) == [
        {"app": "web", "spec": SPEC, "image_id": PIN.id, "digests": list(PIN.digests or ())}
    ]
    assert agent.told(ToldImage(PIN)) == []


def test_where_the_node_has_nothing_under_the_name_the_first_is_started_and_its_container_tells() -> None:
    agent = Agent()
    agent.learn(agent.once(ToldImage(first=True)), None)
    assert starts(agent.once(ToldImage(first=True))) == [(None, False)]
    assert agent.once(ToldImage(first=True), WEB, RUNS).questions == (Question("web", SPEC, "n1", container="web"),)


def test_the_others_wait_until_they_are_told_and_start_that_image() -> None:
    agent = Agent()
    waits = agent.once(ToldImage(awaits="waits for web.2 on n2"))
    assert (starts(waits), waits.questions) == ([], ())
    assert waits.decision.plan.notes["web"] == "waits for web.2 on n2"
    assert starts(agent.once(ToldImage(PIN))) == [(PIN, False)]


@pytest.mark.parametrize(
    ("image", "app", "started"),
    [
        (None, WEB, (None, False)),
        (ToldImage(), WEB, (None, False)),
        (ToldImage(fresh=True), WEB, (None, True)),
        (ToldImage(first=True, fresh=True), WEB, (None, True)),
        (ToldImage(first=True), replace(WEB, pull_policy="always"), (None, False)),
    ],
)
def test_a_start_that_needs_no_question_asks_none(image: ToldImage | None, app: App, started: tuple[None, bool]) -> None:
    verdict = Agent().once(image, app)
    assert (starts(verdict), verdict.questions) == ([started], ())


def test_what_runs_and_is_not_known_is_asked_when_there_is_nothing_else_to_do() -> None:
    verdict = Agent().once(ToldImage(), WEB, RUNS)
    assert (starts(verdict), verdict.questions) == ([], (Question("web", SPEC, "n1", container="web"),))


@pytest.mark.parametrize("told", [ToldImage(PIN), ToldImage(awaits="x"), ToldImage(first=True, fresh=True), ToldImage()])
def test_a_share_tells_it_to_the_agent(told: ToldImage) -> None:
    assert told_from_json(told_to_json(told)) == told
    entry = {"name": "web", "image": WEB.image, "node": "n1", "revision": "r", "runs": told_to_json(told)}
    share = read_share({"revision": 1, "apps": [entry], "kept": []})
    assert share.desired.instances["web"].image == told


@pytest.mark.parametrize("wrong", [{"image_id": "; rm"}, {"image_id": PIN.id, "digests": ["web@--privileged"]}])
def test_what_is_no_image_never_comes_into_a_command(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, BadInput)):
        told_from_json(wrong)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("reg:5000/team/web", "reg:5000/team/web"),
        ("reg:5000/team/web:1", "reg:5000/team/web"),
        ("reg/web:1@sha256:abc", "reg/web"),
    ],
)
def test_the_name_of_an_image_without_tag_and_digest(image: str, name: str) -> None:
    assert repository(image) == name
