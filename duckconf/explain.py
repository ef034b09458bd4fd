"""Why an app is where and as it is, what was tried, what happens next and when, in sentences. Pure: what is known comes in.

All of it is said by the plan, the notes of `ps`, the tries, the history and the picture already; here it is put together, with
the command that changes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckconf.backoff import Tries
from duckconf.counts import counted
from duckconf.elsewhere import Place
from duckconf.healthcheck import UNHEALTHY
from duckconf.naming import instance_name
from duckconf.overview import BACKOFF, LOST, PENDING, STARTING, UNREACHABLE, UNREADABLE
from duckconf.picture import NodeSeen
from duckconf.policies import policy_of
from duckconf.restart import is_end

RUNNING = "running"
NOBODY = Tries("")
NOWHERE = Place()
LOOP, AGENT = "the loop", "an agent"
APP, INSTANCE, NODE = "app", "instance", "node"


@dataclass(frozen=True)
class Part:
    """What there is to say about an app, an instance or a node, in sentences; `change` are commands with what they do."""

    kind: str
    about: str
    state: Sequence[str] = ()
    why: Sequence[str] = ()
    tried: Sequence[str] = ()
    next: Sequence[str] = ()
    change: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        told = {"kind": self.kind, "about": self.about, "state": self.state, "why": self.why, "tried": self.tried}
        return {name: list(found) if not isinstance(found, str) else found for name, found in told.items()} | {
            "next": list(self.next),
            "change": list(self.change),
        }


@dataclass(frozen=True)
class Known:
    """`now` is in seconds since the epoch, `clock` in those of the tries. `steps` and `notes` are the plan's, by instance;
    `later` are the steps that follow of an update. `timeout` is node_timeout in seconds."""

    now: float
    clock: float = 0.0
    timeout: float = 0.0
    actor: str = LOOP
    nodes: Mapping[str, NodeSeen] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    steps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    tries: Mapping[str, Tries] = field(default_factory=dict)
    failures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What went wrong lately, by instance or app, with its time."""
    later: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()


def explain_app(entry: Mapping[str, Any], known: Known) -> list[Part]:
    """`entry` is the app as the API shows it."""
    return [_app(entry, known), *(explain_instance(entry, one, known) for one in entry["instances"])]


def _app(entry: Mapping[str, Any], known: Known) -> Part:
    name, instances = str(entry["name"]), entry["instances"]
    stack = f", as a service of the stack {entry['stack']}" if entry.get("stack") else ""
    wanted = f"{counted(len(instances), 'instance')} of {entry['image']} {'is' if len(instances) == 1 else 'are'} wanted{stack}"
    state = [f"{wanted}; {entry.get('running', 0)} of them {'runs' if entry.get('running') == 1 else 'run'}."]
    rollout, why = str(entry.get("rollout") or ""), []
    last = known.history[-1] if known.history else None
    change = [f"./inv scale {name}=N changes how many run, ./inv update {name} … what they run."]
    served = any(revision.get("outcome") == "done" for revision in known.history)
    failed = served and last is not None and last.get("outcome") == "failed"
    if rollout and failed:
        state.append(f"Its update has failed: {rollout}.")
        change = [f"./inv rollback {name} declares what serves.", *change]
    elif rollout:
        state.append(f"An update is under way: {rollout}." if served else f"It is rolled out for the first time: {rollout}.")
        back = f", ./inv rollback {name} goes back" if served else ""
        change = [f"./inv pause {name} lets it rest{back}.", *change]
    if "paused" in rollout:
        change = [f"./inv resume {name} goes on with the update.", *change]
    if last is not None and failed:
        why.append(f"Revision {last['number']} failed and is not tried again: {last.get('why') or 'no reason is known'}.")
        change = [f"./inv update {name} … makes another revision; ./inv history {name} shows what each one changed.", *change]
    # What is told of the only instance stands there.
    tried = [f"{words}." for words in known.failures.get(name, ())] if len(instances) > 1 else []
    coming = [f"{line}." for line in known.later]
    return Part(APP, name, state, why, tried, coming, change)


def explain_instance(entry: Mapping[str, Any], one: Mapping[str, Any], known: Known) -> Part:
    app = str(entry["name"])
    name, status, node = instance_name(app, int(one["slot"])), str(one["status"]), str(one.get("node") or "")
    place, tries = known.places.get(name, NOWHERE), known.tries.get(name, NOBODY)
    note = str(one.get("note") or known.notes.get(name, ""))
    return Part(
        INSTANCE,
        name,
        _state(name, status, node, one, note, known),
        _why(place, status),
        _tried(one, tries, known.failures.get(name, ()) if name != app or len(entry["instances"]) == 1 else ()),
        _next(name, status, node, note, place, tries, known, _until_ready(entry, one)),
        _change(app, name, status, node, one, place),
    )


def _state(name: str, status: str, node: str, one: Mapping[str, Any], note: str, known: Known) -> list[str]:
    because = f", because: {note}" if note else ""
    if status == PENDING:
        serves = f" Its container on {one['serves']} goes on until then." if one.get("serves") else ""
        return [f"{name} has no place{because}.{serves}"]
    if status == STARTING:
        return [f"{name} is being started on {node}{because}."]
    if status == BACKOFF:
        return [f"{name} does not run on {node}{because}."]
    if status == UNREACHABLE:
        return [f"{node} does not answer, so that nobody knows whether {name} runs there; it counts as running{because}."]
    if status == UNREADABLE:
        return [f"{node} answers, but its answer cannot be read; {name} counts as running there{because}."]
    if status == LOST:
        return [f"{name} was on {node}, which is lost{because}."]
    if is_end(status):
        return [f"{name} has ended on {node}: {status}{because}."]
    if status != RUNNING:
        return [f"The container of {name} on {node} is {status}{because}."]
    since = f" for {lasting(known.now - float(one['started']))}" if one.get("started") else ""
    healthy = f"its check says {one['health']}" if one.get("health") else "it has no check"
    ready = "and is ready" if one.get("ready") else "and is not ready yet"
    old = "" if one.get("updated", True) else " It has an earlier revision than the one that is declared."
    return [f"{name} runs on {node}{since} {ready} ({healthy}){because}.{old}"]


def _why(place: Place, status: str) -> list[str]:
    found = list(place.reasons)
    could = [node for node, reason in place.others.items() if not reason]
    shut = [f"{node} ({reason})" for node, reason in place.others.items() if reason]
    if could:
        found.append(f"{', '.join(could)} could take it too.")
    if shut and status != PENDING:
        found.append(f"Not possible: {', '.join(shut)}.")
    elif shut:
        found += [f"{words}." for words in shut]
    return found


def _tried(one: Mapping[str, Any], tries: Tries, failures: Sequence[str]) -> list[str]:
    found = []
    if restarts := int(one.get("restarts") or 0):
        found.append(f"It was started again {counted(restarts, 'time')} on its node.")
    if tries.strikes > 1:
        found.append(f"It was started {counted(tries.strikes, 'time')} in a row, and has not run for ten minutes since.")
    if tries.words:
        found.append(f"The engine said last: {tries.words}.")
    return found + [f"{words}." for words in failures]


def _until_ready(entry: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if one.get("ready"):
        return ""
    if one.get("health"):
        return "It is ready once its check passes."
    monitor = policy_of(entry.get("update_config") or {}, len(entry["instances"])).monitor
    return f"It is ready once it has run for {monitor:g} s (monitor)."


def _next(name: str, status: str, node: str, note: str, place: Place, tries: Tries, known: Known, until_ready: str) -> list[str]:
    if steps := known.steps.get(name):
        return [f"Now: {step}." for step in steps]
    wait = math.ceil(tries.not_before - known.clock)
    if status == BACKOFF and wait > 0:
        return [f"It is started again in {wait} s, or at once when its spec changes."]
    if status == PENDING:
        return ["It is placed as soon as one node can take it; every change of a node is looked at at once."]
    if status == UNREACHABLE:
        return [_when_lost(name, node, place, known)]
    if status == LOST and place.bound:
        return [f"It waits for {node}, which has its data."]
    if is_end(status):
        return ["Nothing: it is not started again. A changed spec runs anew."]
    if status == RUNNING and "unhealthy" in note:
        return ["It is started again, with longer and longer pauses, until its check passes."]
    if status == RUNNING and until_ready:
        return [until_ready]
    if status == RUNNING:
        return [f"Nothing: it is as desired. Should it end, {known.actor} starts it again at once."]
    return [f"{known.actor.capitalize()} goes on with it in its next pass."]


def _when_lost(name: str, node: str, place: Place, known: Known) -> str:
    seen = known.nodes.get(node)
    left = math.ceil(known.timeout - (known.now - seen.heard)) if seen is not None and seen.heard else 0
    then = f"{name} waits for it, because its data is there" if place.bound else f"{name} is started on another node"
    if left <= 0:
        over = f"{node} is silent for longer than {known.timeout:g} s (node_timeout)"
        return f"{over}, so that {then}, unless most nodes are silent."
    return f"If {node} stays silent, it is lost in {left} s, and {then}. Not where all or most nodes fall silent together."


def _change(app: str, name: str, status: str, node: str, one: Mapping[str, Any], place: Place) -> list[str]:
    loss = [f"./inv move {name} --accept-data-loss starts it elsewhere without its data."] if place.bound else []
    if status == PENDING:
        cordoned = [other for other, reason in place.others.items() if reason == "cordoned"]
        opened = [f"./inv uncordon {cordoned[0]} lets it take instances again."] if cordoned else []
        return [
            *opened,
            *loss,
            f"./inv update {app} … asks for less (--on, --port, --reserve-memory); ./inv add-node adds a node.",
        ]
    if status in (UNREACHABLE, UNREADABLE, LOST):
        return [f"./inv doctor {node} looks at the node.", *loss]
    if status == BACKOFF or one.get("health") == UNHEALTHY or is_end(status):
        return [f"./inv logs {name} shows what it said; ./inv update {app} … or ./inv redeploy {app} starts it anew."]
    if place.bound:
        return loss
    if status != RUNNING:
        return [f"./inv logs {name} shows what it said."]
    if not any(not reason for reason in place.others.values()):
        return [f"./inv update {app} … lets it run elsewhere (--on, --port, --reserve-memory)."]
    return [f"./inv drain {node} moves it away, with all that runs there."]


def lasting(seconds: float) -> str:
    """A length of time in its two largest units."""
    left = max(0, int(seconds))
    found: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or (unit == "s" and not found):
            found.append(f"{left // size} {unit}")
            left %= size
    return " ".join(found[:2])
