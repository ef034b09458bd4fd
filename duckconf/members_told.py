"""What `etcdctl` tells on each host, as one picture of the members. Pure.

Each host has its own view: one that is cut off from the others knows no leader. The view counts in which most members
follow one leader.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from duckconf.members import LEARNERS_SINCE, Member, Seen

CTL = "/usr/local/sbin/duckconf-etcdctl"
VERSION = re.compile(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})")
HAS_DATA, HAS_NONE = "data", "bare"
UNREAD = "answers with something else than what was asked for"
# Silent members cost this many seconds each, one after the other.
PATIENCE = 2
# One line each: whether the host has data of a member, the members, and the state of each that answers.
QUESTION = (
    f"if test -e /var/lib/duckconf-etcd/data/member; then echo {HAS_DATA}; else echo {HAS_NONE}; fi\n"
    f"if test -x {CTL}; then\n"
    f"  {CTL} --command-timeout={PATIENCE}s member list --write-out=json\n"
    f"  {CTL} --command-timeout={PATIENCE}s endpoint status --cluster --write-out=json\n"
    "fi 2>/dev/null || :"
)


@dataclass(frozen=True)
class Told:
    """`by` is the host whose view it is, "" when there is none; `sizes` (bytes of data) and `faults` are by the member's id;
    `away` says of each host that could not be asked why."""

    seen: Seen
    by: str = ""
    revision: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)
    away: Mapping[str, str] = field(default_factory=dict)


def read_told(answers: Mapping[str, str], away: Mapping[str, str]) -> Told:
    """`answers` has what the hosts that were reached have printed. One that says neither is not known, and counts as away; so
    does each of `away`, which says why."""
    bare = frozenset(host for host, text in answers.items() if HAS_NONE in text.splitlines())
    unread = {host: UNREAD for host, text in answers.items() if not {HAS_DATA, HAS_NONE} & set(text.splitlines())}
    away = {**away, **unread}
    best: Told | None = None
    for host in sorted(answers):
        told = _view(host, answers[host])
        if told is not None and (best is None or _well(told) > _well(best)):
            best = told
    if best is None:
        return Told(Seen(bare=bare, away=frozenset(away)), away=away)
    seen = Seen(best.seen.members, bare, frozenset(away), best.seen.version)
    return Told(seen, best.by, best.revision, best.sizes, best.faults, away)


def _view(host: str, text: str) -> Told | None:
    members, states = _documents(text)
    if not members:
        return None
    by_id = {int(state["header"]["member_id"]): state for state in states}
    leaders = Counter(int(state.get("leader", 0)) for state in states if state.get("leader", 0))
    leader = max(leaders, key=lambda one: (leaders[one], one)) if leaders else 0
    listed = tuple(_member(entry, by_id.get(int(entry["ID"]), {}), leader) for entry in members)
    versions = [tuple(map(int, found.groups())) for state in states if (found := VERSION.match(str(state.get("version"))))]
    return Told(
        Seen(listed, version=min(versions, default=LEARNERS_SINCE)),
        host,
        max((int(state["header"].get("revision", 0)) for state in states), default=0),
        {number: int(state.get("dbSize", 0)) for number, state in by_id.items()},
        {number: "; ".join(map(str, state["errors"])) for number, state in by_id.items() if state.get("errors")},
    )


def _documents(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    members: list[dict[str, Any]] = []
    states: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            # What a login file prints.
            continue
        if isinstance(found, dict):
            members = found.get("members", [])
        elif isinstance(found, list):
            states = [entry["Status"] for entry in found if "Status" in entry]
    return members, states


def _member(entry: Mapping[str, Any], state: Mapping[str, Any], leader: int) -> Member:
    number = int(entry["ID"])
    address = urlsplit((entry.get("peerURLs") or [""])[0]).hostname or ""
    well = bool(leader) and state.get("leader") == leader
    is_learner, is_leader = bool(entry.get("isLearner")), number == leader
    return Member(number, str(entry.get("name", "")), address, well, is_learner, is_leader, answers=bool(state))


def _well(told: Told) -> int:
    return sum(member.well for member in told.seen.members)
