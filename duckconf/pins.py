"""Which image a revision runs: found out once, and the same for all its instances from then on, whatever its tag means later.

Pure. The first container of a revision says it, or the image that a node has under the tag before several are started. Until
then one instance is started at most. A revision that has the spec of an earlier one has its image too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from duckconf.actions import Pin, Start
from duckconf.codec import spec_hash
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.placement import Fleet
from duckconf.plan import Plan, Step
from duckconf.rollout import History, Revision
from duckconf.told_image import ToldImage, pin_to_json

# The label of `redeploy`: the revision that has another one takes what the tag means in the registry.
REDEPLOYED = "redeployed"
ALWAYS = "always"

Key = tuple[str, str]
"""App and spec."""


class Question(NamedTuple):
    """Asked of a node: which image is this? `container` runs it, or it is there under the name or id `image`."""

    app: str
    spec: str
    node: str
    image: str = ""
    container: str = ""

    @property
    def key(self) -> Key:
        return self.app, self.spec


@dataclass(frozen=True)
class Pinned:
    """The plan with the image of each start, the histories with what is known now, and what is to be asked: `questions` hold
    up starts, `more` only tell where else an image can be had, while a node has it."""

    plan: Plan
    history: Mapping[str, History]
    questions: tuple[Question, ...] = ()
    more: tuple[Question, ...] = ()


def pinned(
    plan: Plan,
    fleet: Fleet,
    history: Mapping[str, History],
    learned: Mapping[Key, Pin],
    absent: Collection[Key] = (),
    starting: Collection[Key] = (),
) -> Pinned:
    """`learned` are the answers of nodes, `absent` those that a node had nothing of under the name, `starting` those of which an
    instance is being started now."""
    starts = {step.app for step in plan.steps if isinstance(step.action, Start)}
    open_ends = {app: past for app, past in history.items() if past and (app in starts or not _is_told(past[-1]))}
    if not open_ends:
        return Pinned(plan, history)
    seen = _seen(fleet, open_ends)
    told = {app: _with_pins(app, past, learned, seen) for app, past in open_ends.items()}
    known = {(app, item.spec): item for app, past in told.items() for item in past}
    steps, waiting = _split(plan, known)
    notes = dict(plan.notes)
    questions: list[Question] = []
    for key, some in waiting.items():
        go, question, why = _first(key, some, known[key], told[key[0]], seen.get(key), key in absent, key in starting)
        steps += go
        questions += [question] if question is not None else []
        notes.update({step.instance: why for step in some[len(go) :]})
    order = {step.instance: place for place, step in enumerate(plan.steps)}
    after = Plan(tuple(sorted(steps, key=lambda step: order[step.instance])), notes)
    return Pinned(after, {**history, **told}, tuple(questions), tuple(_more(known, seen)))


def given(
    plan: Plan, fleet: Fleet, instances: Mapping[str, Instance], learned: Mapping[Key, Pin], absent: Collection[Key] = ()
) -> Pinned:
    """The same where another process tells each instance what it runs: the first of a revision finds out what that is."""
    steps: list[Step] = []
    notes = dict(plan.notes)
    questions: list[Question] = []
    for step in plan.steps:
        instance = instances.get(step.instance) if isinstance(step.action, Start) else None
        told = instance.image if instance is not None else None
        if instance is None or told is None:
            steps.append(step)
            continue
        key, image = (step.app, instance.spec), instance.app.image
        pin = told.pin or learned.get(key)
        if pin is None and told.awaits:
            notes[step.instance] = told.awaits
        elif pin is None and told.first and not (told.fresh or key in absent or instance.app.pull_policy == ALWAYS):
            questions.append(Question(*key, step.action.node, image))
            notes[step.instance] = f"{step.action.node} is asked which image {image} is"
        else:
            steps.append(_with_image(step, pin, fresh=told.fresh and pin is None))
    found = tuple(_untold(fleet, instances, learned))
    first = tuple(question for question, told in found if told.first)
    rest = tuple(question for question, told in found if not told.first)
    return Pinned(Plan(tuple(steps), notes), {}, (*questions, *first), rest)


def _untold(fleet: Fleet, instances: Mapping[str, Instance], learned: Mapping[Key, Pin]) -> Iterator[tuple[Question, ToldImage]]:
    """The containers of which it is to be found out what they run."""
    for name, instance in instances.items():
        told, key = instance.image, (instance.app.name, instance.spec)
        if told is None or told.pin is not None or key in learned:
            continue
        copy = next((copy for copy in fleet.copies.get(name, ()) if copy.spec == instance.spec), None)
        if copy is not None:
            yield Question(*key, copy.node, container=copy.name), told


def found_out(instances: Iterable[Instance], learned: Mapping[Key, Pin]) -> list[dict[str, Any]]:
    """What was learned of instances that were not told which image they run, as heartbeats have it."""
    open_ends = {(one.app.name, one.spec) for one in instances if one.image is not None and one.image.pin is None}
    return [{"app": app, "spec": spec, **pin_to_json(learned[app, spec])} for app, spec in sorted(open_ends & learned.keys())]


def is_fresh(app: App, past: History) -> bool:
    """Whether a person asked for what the tag means now."""
    before = [item.app.labels.get(REDEPLOYED) for item in past if item.app != app]
    return REDEPLOYED in app.labels and app.labels[REDEPLOYED] not in before


def with_learned(app: str, past: History, learned: Mapping[Key, Pin]) -> History:
    return _with_pins(app, past, learned, {})


def pin_of(history: History, spec: str) -> Pin | None:
    return next((item.pin for item in reversed(history) if item.spec == spec and item.pin is not None), None)


def digest_of(history: History, image_id: str) -> str:
    """The first name with digest by which an image of these revisions can be pulled, "" for none."""
    pins = [item.pin for item in reversed(history) if item.pin is not None and item.pin.id == image_id]
    return next((digest for pin in pins for digest in pin.digests or ()), "")


def _is_told(revision: Revision) -> bool:
    return revision.pin is not None and revision.pin.digests is not None


def _split(plan: Plan, known: Mapping[Key, Revision]) -> tuple[list[Step], dict[Key, list[Step]]]:
    """The steps that may go, with their images, and the starts of revisions whose image is not known."""
    steps: list[Step] = []
    waiting: dict[Key, list[Step]] = {}
    for step in plan.steps:
        key = (step.app, spec_hash(step.action.app)) if isinstance(step.action, Start) else ("", "")
        revision = known.get(key)
        if revision is None or "@" in revision.app.image:
            steps.append(step)
        elif revision.pin is not None:
            steps.append(_with_image(step, revision.pin))
        else:
            waiting.setdefault(key, []).append(step)
    return steps, waiting


def _with_image(step: Step, pin: Pin | None, *, fresh: bool = False) -> Step:
    action = step.action
    return replace(step, action=replace(action, pin=pin, fresh=fresh)) if isinstance(action, Start) else step


def _first(
    key: Key, steps: list[Step], revision: Revision, past: History, copy: Container | None, absent: bool, starting: bool
) -> tuple[list[Step], Question | None, str]:
    """Of a revision whose image is not known: the steps that may go now, what to ask, and why the others wait."""
    number, image = f"revision {revision.number}", revision.app.image
    if copy is not None:
        return [], Question(*key, copy.node, container=copy.name), f"{copy.node} is asked which image {number} runs"
    if starting:
        return [], None, f"waits for the first instance of {number}, which shows what its image is"
    fresh = is_fresh(revision.app, past)
    first = steps[0]
    # When an engine pulls is about the app, and no part of a revision.
    always = isinstance(first.action, Start) and first.action.app.pull_policy == ALWAYS
    if len(steps) == 1 or absent or fresh or always:
        return [_with_image(first, None, fresh=fresh)], None, f"waits for {first.instance}, which shows what the image is"
    node = first.action.node
    return [], Question(*key, node, image), f"{node} is asked which image {image} is"


def _with_pins(app: str, past: History, learned: Mapping[Key, Pin], seen: Mapping[Key, Container]) -> History:
    found: list[Revision] = []
    for item in past:
        more, copy = learned.get((app, item.spec)), seen.get((app, item.spec))
        pin = item.pin or pin_of((*past, *found), item.spec) or more
        if pin is None and copy is not None and copy.image_id:
            pin = Pin(copy.image_id)
        if pin is not None and more is not None and more.id == pin.id:
            pin = more
        found.append(item if pin == item.pin else replace(item, pin=pin))
    return past if all(one is other for one, other in zip(found, past)) else tuple(found)


def _seen(fleet: Fleet, history: Mapping[str, History]) -> dict[Key, Container]:
    """A container of each revision whose image is not wholly known: one that runs, else one that has ended."""
    wanted = {(app, item.spec): item.pin for app, past in history.items() for item in past if not _is_told(item)}
    found: dict[Key, Container] = {}
    for name in sorted(fleet.copies) if wanted else ():
        for copy in fleet.copies[name]:
            key = (copy.app, copy.spec)
            if key in wanted and ((pin := wanted[key]) is None or pin.id == copy.image_id):
                known = found.setdefault(key, copy)
                found[key] = copy if copy.running and not known.running else known
    return found


def _more(known: Mapping[Key, Revision], seen: Mapping[Key, Container]) -> Iterator[Question]:
    for key, copy in seen.items():
        revision = known[key]
        if revision.pin is None:
            yield Question(*key, copy.node, container=copy.name)
        elif revision.pin.digests is None:
            yield Question(*key, copy.node, revision.pin.reference)
