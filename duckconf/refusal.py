"""What a node's engine refused for a reason of the node, remembered as values. Pure: the clock is an argument.

A node that refused an app is passed over for this app until a pause is over. The pauses double up to five minutes. They
end at once when the app's spec changes, the node returns after it was lost, or a person asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from duckconf import backoff
from duckconf.codec import spec_hash
from duckconf.errors import NodeRefused
from duckconf.facts import Facts
from duckconf.json_values import number, text, whole
from duckconf.model import App
from duckconf.refusal_words import ARCHITECTURE, PORT, SPACE

# A port is often free a moment later, when the app that had it is removed; disks, cores and paths take a person.
SOON = 1.0
LATER = 60.0


@dataclass(frozen=True)
class Refusal:
    """`reason` is in our words, `words` are the engine's. `until` is in seconds of the caller's clock."""

    node: str
    app: str
    spec: str
    kind: str
    reason: str
    words: str
    until: float
    strikes: int = 1
    generation: int = 0
    """The newest placement that it holds for, where placements have one: a newer one is tried at once, because who placed it
    anew had a reason."""

    @property
    def of_node(self) -> bool:
        """Whether it concerns every app that has no container on the node yet."""
        return self.kind == SPACE


Refusals = Mapping[tuple[str, str], Refusal]
"""By node and app."""


def refused(before: Refusal | None, app: App, failure: NodeRefused, now: float, generation: int = 0) -> Refusal:
    """The refusal that `failure` stands for; each one in a row for the same spec holds longer than the one before."""
    spec = spec_hash(app)
    again = before is not None and (before.spec, before.kind) == (spec, failure.kind)
    strikes = before.strikes + 1 if before is not None and again else 1
    until = now + backoff.delay(strikes, SOON if failure.kind == PORT else LATER)
    newest = max(generation, before.generation if before is not None else 0)
    return Refusal(failure.node, app.name, spec, failure.kind, failure.why, failure.words, until, strikes, newest)


def active(refusals: Refusals, now: float) -> dict[tuple[str, str], Refusal]:
    return {where: refusal for where, refusal in refusals.items() if refusal.until > now}


def with_siblings(refusals: Refusals, facts: Mapping[str, Facts]) -> dict[tuple[str, str], Refusal]:
    """What one node said of an image's architecture, nodes of the same architecture would say too."""
    found = dict(refusals)
    for refusal in refusals.values():
        known = facts[refusal.node].architecture if refusal.node in facts else None
        if refusal.kind == ARCHITECTURE and known:
            for node, others in facts.items():
                if others.architecture == known:
                    found.setdefault((node, refusal.app), replace(refusal, node=node))
    return found


def remembered(
    refusals: Refusals, now: float, *, nodes: Collection[str], returned: Collection[str], withdrawn: Collection[str] = ()
) -> dict[tuple[str, str], Refusal]:
    """Those that still count: also when the pause is over, so that the next one is longer. `returned` nodes
    were lost, or a person asked for them."""
    return {
        where: refusal
        for where, refusal in refusals.items()
        if refusal.node in nodes
        and refusal.node not in returned
        and (refusal.of_node or refusal.app not in withdrawn)
        and now < refusal.until + backoff.HEALTHY_AFTER
    }


def after_success(refusals: Refusals, node: str, app: str, spec: str) -> dict[tuple[str, str], Refusal]:
    """The node started the app: it has space, and what it said against this spec is over. Against another one it stands: the
    revision that served before is started again where an update of it was refused."""
    return {
        where: refusal
        for where, refusal in refusals.items()
        if refusal.node != node or not (refusal.of_node or (refusal.app, refusal.spec) == (app, spec))
    }


def by_node(refusals: Refusals) -> dict[str, dict[str, Refusal]]:
    """Node to app to refusal."""
    found: dict[str, dict[str, Refusal]] = {}
    for (node, app), refusal in refusals.items():
        found.setdefault(node, {})[app] = refusal
    return found


def shifted(refusals: Iterable[Refusal], seconds: float) -> dict[tuple[str, str], Refusal]:
    """On another clock, which is `seconds` ahead."""
    return {(item.node, item.app): replace(item, until=item.until + seconds) for item in refusals}


def refusal_to_json(refusal: Refusal, now: float) -> dict[str, Any]:
    """With the seconds that are left, for a reader with another clock."""
    return {
        "app": refusal.app,
        "spec": refusal.spec,
        "kind": refusal.kind,
        "reason": refusal.reason,
        "words": refusal.words,
        "wait": round(max(0.0, refusal.until - now), 3),
        "strikes": refusal.strikes,
    }


def refusal_from_json(node: str, data: Any, now: float) -> Refusal:
    """Raises KeyError, TypeError, ValueError or AttributeError for something that is none."""
    app, spec, kind, reason = (text(data[key]) for key in ("app", "spec", "kind", "reason"))
    until, strikes = now + number(data["wait"]), whole(data.get("strikes", 1))
    return Refusal(node, app, spec, kind, reason, text(data.get("words", "")), until, strikes)
