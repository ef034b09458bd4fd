"""The next step from the members that an etcd cluster has to those that it should have, one at a time. Pure.

In order: nothing without a majority; what was begun is brought to its end; who is lost goes before anybody comes; who is to come
comes before anybody who is well goes. A host that only does not answer stays a member. `duckconf/cli/cluster/etcd.py` looks
and acts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from duckconf.counts import counted

# The first version that has learners, which are no part of a majority until they have all data.
LEARNERS_SINCE = (3, 4)


@dataclass(frozen=True)
class Member:
    """One that the cluster lists. `name` is "" until it has begun; `well` is one that answers and follows the leader of the
    others. One that `answers` and is not well knows no leader."""

    id: int
    name: str
    address: str
    well: bool
    learner: bool = False
    leader: bool = False
    answers: bool = False


@dataclass(frozen=True)
class Seen:
    """What was found. `members` is empty when no member answers; `bare` are the hosts that answer and have no data of a
    member, `away` those that do not answer."""

    members: Sequence[Member] = ()
    bare: Collection[str] = ()
    away: Collection[str] = ()
    version: tuple[int, ...] = LEARNERS_SINCE


@dataclass(frozen=True)
class Begin:
    """There is no cluster yet: all hosts begin one together."""


@dataclass(frozen=True)
class Add:
    host: str
    learner: bool


@dataclass(frozen=True)
class Start:
    """The host has been added, and is to begin."""

    host: str


@dataclass(frozen=True)
class Promote:
    member: Member


@dataclass(frozen=True)
class Remove:
    member: Member
    why: str


@dataclass(frozen=True)
class Refused:
    reason: str
    remedy: str


@dataclass(frozen=True)
class Done:
    """The members are those that should be."""


Step = Begin | Add | Start | Promote | Remove | Refused | Done


def majority(voters: int) -> int:
    return voters // 2 + 1


def voters(members: Sequence[Member]) -> list[Member]:
    return [member for member in members if not member.learner]


def may_fail(members: Sequence[Member]) -> int:
    """How many more may fail while a majority remains; below 0 there is none."""
    voting = voters(members)
    return sum(member.well for member in voting) - majority(len(voting))


def next_step(wanted: Mapping[str, str], seen: Seen) -> Step:
    """`wanted` has the address of each host that should be a member. The same step again for the same look."""
    if (refused := refused_number(len(wanted))) is not None:
        return refused
    if not seen.members:
        return _first(wanted, seen)
    if may_fail(seen.members) < 0:
        return _without_majority(seen.members)
    return (
        _begun(wanted, seen)
        or _lost(wanted, seen)
        or _moved(wanted, seen)
        or _missing(wanted, seen)
        or _surplus(wanted, seen)
        or Done()
    )


def outlook(members: Sequence[Member]) -> str:
    """What one more failure costs, for people."""
    spare = may_fail(members)
    if spare < 0:
        return "no majority: nothing can be written, and apps run on as they are; see docs/operations.md, A lost member"
    if spare == 0:
        return "if one more fails, nothing can be written until it is back; apps run on as they are"
    return f"{counted(spare, 'more member')} may fail, and nothing is lost"


def refused_number(number: int) -> Refused | None:
    """Why so many hosts should not be members; None when they may be."""
    if number % 2:
        return None
    survived = counted((number - 1) // 2, "failure")
    fewer = f"{number - 1} {'does' if number == 2 else 'do'}"
    reason = f"the group control_plane has {number} hosts, and {number} members of etcd survive {survived}, as {fewer}"
    return Refused(reason, f"make it {number - 1} or {number + 1}")


def _first(wanted: Mapping[str, str], seen: Seen) -> Step:
    if seen.away:
        return Refused(
            f"no member of etcd answers, and {', '.join(sorted(seen.away))} cannot be reached, so that it is not known whether"
            " there is a cluster",
            "make it reachable, or take it out of the group control_plane",
        )
    if held := sorted(set(wanted) - set(seen.bare)):
        return Refused(
            f"no member of etcd answers, and {', '.join(held)} has data of one",
            "see `journalctl -u duckconf-etcd` there, and docs/operations.md, A lost member",
        )
    return Begin()


def _without_majority(members: Sequence[Member]) -> Refused:
    voting = voters(members)
    silent = sorted(_called(member) for member in voting if not (member.well or member.answers))
    there, need = len(voting) - len(silent), majority(len(voting))
    if there >= need:
        remedy = "they should reach each other on port 2380: see `journalctl -u duckconf-etcd` there"
        return Refused(f"{there} of {len(voting)} members of etcd answer, and follow no common leader", remedy)
    return Refused(
        f"{', '.join(silent)} of {len(voting)} members of etcd {'does' if len(silent) == 1 else 'do'} not answer: {there} of"
        f" {len(voting)} are no majority, and without one no member can be added or removed",
        f"bring back {need - there} of them, or restore a snapshot: docs/operations.md, A lost member",
    )


def _begun(wanted: Mapping[str, str], seen: Seen) -> Step | None:
    """Who has been added, and is no full member yet."""
    for member in sorted(seen.members, key=lambda one: one.id):
        if member.name and not member.learner:
            continue
        host = _host_of(member, wanted)
        if host is None:
            return Remove(member, "it is not in the group control_plane any more")
        if host in seen.away:
            if member.learner:
                return Remove(member, "it does not answer, and has not been a full member yet")
            return _unreachable(host)
        if not member.name and (member.learner or host in seen.bare):
            return Start(host)
        if not member.name or host in seen.bare:
            return Remove(member, "its host has lost the data that it began with")
        if member.well:
            return Promote(member)
        return Remove(member, "it has not come up as a learner")
    return None


def _lost(wanted: Mapping[str, str], seen: Seen) -> Step | None:
    for member in _by_name(seen.members):
        if member.well:
            continue
        if _host_of(member, wanted) is None:
            return Remove(member, "it does not answer, and is not in the group control_plane")
        if member.name in seen.bare:
            return Remove(member, "it has lost its data")
    return None


def _missing(wanted: Mapping[str, str], seen: Seen) -> Step | None:
    there = {_host_of(member, wanted) for member in seen.members}
    missing = sorted(set(wanted) - there)
    if not missing:
        return None
    reachable = [host for host in missing if host not in seen.away]
    if not reachable:
        return _unreachable(missing[0])
    if seen.version >= LEARNERS_SINCE:
        return Add(reachable[0], learner=True)
    return _plainly(reachable[0], seen)


def _plainly(host: str, seen: Seen) -> Step:
    """By an etcd that counts a new member from the moment it is added."""
    voting = voters(seen.members)
    well, version = sum(member.well for member in voting), ".".join(map(str, seen.version))
    if well < majority(len(voting) + 1):
        reason = f"etcd {version} counts a new member before it has begun: {well} of {len(voting) + 1} would be no majority"
        newer = ".".join(map(str, LEARNERS_SINCE))
        return Refused(reason, f"install etcd {newer} or newer on the members, or bring back those that do not answer")
    if host not in seen.bare:
        reason = f"{host} has data of an earlier membership, with which it cannot begin by etcd {version}"
        return Refused(reason, "move /var/lib/duckconf-etcd/data away there")
    return Add(host, learner=False)


def _surplus(wanted: Mapping[str, str], seen: Seen) -> Step | None:
    """Those that are well: the leader last."""
    surplus = [member for member in _by_name(seen.members) if _host_of(member, wanted) is None]
    if not surplus:
        return None
    chosen = min(surplus, key=lambda member: (member.leader, member.name))
    return _removed(chosen, seen.members, "it is not in the group control_plane")


def _moved(wanted: Mapping[str, str], seen: Seen) -> Step | None:
    """A host begins under its new address without what it had under the old one."""
    for member in _by_name(seen.members):
        if member.name in wanted and wanted[member.name] != member.address:
            return _removed(member, seen.members, f"its address is {wanted[member.name]} now")
    return None


def _removed(member: Member, members: Sequence[Member], why: str) -> Step:
    left = [other for other in members if other is not member]
    if may_fail(left) >= 0:
        return Remove(member, why)
    silent = ", ".join(_called(other) for other in _by_name(left) if not other.well)
    if not silent:
        remedy = "begin a new cluster from a snapshot: docs/operations.md, A lost member"
        return Refused(f"{member.name} cannot be removed: it is the only member of etcd ({why})", remedy)
    well = sum(other.well for other in left)
    reason = f"{member.name} cannot be removed ({why}): {silent} would not answer, and {well} of {len(left)} are no majority"
    return Refused(reason, f"bring back {silent} first, or replace it in the group control_plane")


def _unreachable(host: str) -> Refused:
    remedy = "make it reachable, or take it out of the group control_plane"
    return Refused(f"{host} should be a member of etcd, and cannot be reached", remedy)


def _host_of(member: Member, wanted: Mapping[str, str]) -> str | None:
    """The wanted host that it is: by its name, and by its address while it has none. One that has moved is another one."""
    if member.name:
        return member.name if wanted.get(member.name) == member.address else None
    return next((host for host, address in wanted.items() if address == member.address), None)


def _by_name(members: Sequence[Member]) -> list[Member]:
    return sorted(members, key=lambda member: (member.name, member.id))


def _called(member: Member) -> str:
    return member.name or member.address
