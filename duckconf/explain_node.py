"""Why a node is as it is, what it refuses, and what happens next with what is on it, in sentences. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.counts import counted
from duckconf.explain import NODE, Part, lasting
from duckconf.facts import Facts
from duckconf.picture import InstanceSeen, NodeSeen
from duckconf.refusal import Refusal
from duckconf.usage import size

READY = "ready"
LOST = "lost"
SILENT = ("unreachable", "suspect", "silent", "frozen")


def explain_node(
    name: str,
    seen: NodeSeen,
    instances: Mapping[str, InstanceSeen],
    *,
    facts: Facts,
    refusals: Sequence[Refusal] = (),
    data: Sequence[str] = (),
    events: Sequence[str] = (),
    now: float,
    clock: float,
    timeout: float,
    observes: bool = True,
) -> list[Part]:
    """`data` are the instances that have data there; `clock` is that of the refusals, `timeout` is node_timeout in seconds.
    Without `observes` nobody looks at what runs, as in push mode: nothing is moved or started again."""
    here = {one: found for one, found in instances.items() if found.node == name}
    state = [*_state(name, seen, now), *_room(facts), _runs(here)]
    why = [f"It refuses {refusal.app}: {refusal.reason}." for refusal in refusals]
    why += [f"The data of {', '.join(data)} is on it, so that they run nowhere else."] if data else []
    tried = [f"{words}." for words in events]
    coming = _next(name, seen, here, data, now, timeout) if observes else _next_request(seen)
    coming += [f"{refusal.app} is tried there again in {math.ceil(max(0.0, refusal.until - clock))} s." for refusal in refusals]
    return [Part(NODE, name, state, why, tried, coming, _change(name, seen, refusals, observes=observes))]


def _state(name: str, seen: NodeSeen, now: float) -> list[str]:
    heard = f"; it was heard {lasting(now - seen.heard)} ago" if seen.heard else ""
    reason = f", because: {seen.reason}" if seen.reason else ""
    zone = f" in the zone {seen.zone}" if seen.zone else ""
    found = [f"{name}{zone} is {seen.status}{reason}{heard}."]
    if seen.draining:
        found.append("It is drained: its instances move to other nodes, one at a time.")
    elif seen.cordoned:
        found.append("It is cordoned: it gets no new instances, and keeps those that it has.")
    return found


def _room(facts: Facts) -> list[str]:
    found = []
    if facts.engine:
        found.append(f"its engine is {facts.engine} {facts.engine_version or ''}".strip())
    if facts.disk_free is not None and facts.disk_total:
        found.append(f"{size(facts.disk_free)} of {size(facts.disk_total)} of disk are free")
    if facts.memory_free is not None and facts.memory_total:
        found.append(f"{size(facts.memory_free)} of {size(facts.memory_total)} of memory are free")
    if facts.load is not None and facts.cores:
        found.append(f"its load is {facts.load:g} on {counted(facts.cores, 'core')}")
    text = ", ".join(found)
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _runs(here: Mapping[str, InstanceSeen]) -> str:
    if not here:
        return "No instance is on it."
    ready = sum(one.ready for one in here.values())
    names = ", ".join(sorted(here)[:10]) + (f" and {len(here) - 10} more" if len(here) > 10 else "")
    return f"{counted(len(here), 'instance')} {'is' if len(here) == 1 else 'are'} on it, {ready} ready: {names}."


def _next(
    name: str, seen: NodeSeen, here: Mapping[str, InstanceSeen], data: Sequence[str], now: float, timeout: float
) -> list[str]:
    moves = [one for one in here if one not in data]
    if seen.status in SILENT and timeout:
        left = math.ceil(timeout - (now - seen.heard)) if seen.heard else 0
        then = f"; {', '.join(moves)} {'is' if len(moves) == 1 else 'are'} started on other nodes then" if moves else ""
        stay = f"; {', '.join(data)} would wait for it" if data else ""
        if left <= 0:
            over = f"It is silent for longer than {timeout:g} s (node_timeout), and lost unless most nodes are silent together"
            return [f"{over}{then}{stay}."]
        return [f"If it stays silent, it is lost in {left} s{then}{stay}."]
    if seen.status == LOST:
        return ["When it answers again, it is ready at once, and copies of what runs elsewhere by then are removed from it."]
    if seen.draining and moves:
        return [f"{moves[0]} moves next, when the one before runs elsewhere; {counted(len(moves), 'instance')} in all."]
    if seen.status == READY and not seen.cordoned:
        return ["Nothing: it takes new instances when it has the fewest."]
    return []


def _next_request(seen: NodeSeen) -> list[str]:
    if seen.status != READY:
        return ["Nothing: push mode has no loop. What is on it is not started elsewhere, and requests skip it until it answers."]
    return [] if seen.cordoned else ["Nothing: it takes the next request when it is its turn."]


def _change(name: str, seen: NodeSeen, refusals: Sequence[Any], *, observes: bool) -> list[str]:
    if seen.status != READY:
        return [f"./inv doctor {name} looks at it, from its name to its disk; ./inv start-node {name} thaws a demo node."]
    if seen.cordoned or seen.draining:
        return [f"./inv uncordon {name} lets it take instances again."]
    if refusals:
        return [f"./inv uncordon {name} lets it be tried again at once."]
    away = f", ./inv drain {name} moves all away" if observes else ""
    return [f"./inv cordon {name} keeps new instances away{away}."]
