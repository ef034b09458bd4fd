"""The members of etcd as rows of a table, and what one more failure costs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from duckconf.cli.cluster.etcd import REMEDY
from duckconf.members import Member, outlook
from duckconf.members_told import Told

COLUMNS = ("member", "role", "state", "size", "address", "note")
WELL = "well"


def member_rows(wanted: Collection[str], told: Told) -> list[dict[str, Any]]:
    """Of each member, and of each host in `wanted` that is none."""
    members = sorted(told.seen.members, key=lambda one: (one.name, one.id))
    names = {member.name for member in members}
    return [*(_row(member, told) for member in members), *(_absent(host, told) for host in wanted if host not in names)]


def outlook_of(wanted: Collection[str], told: Told, *, has_state: bool = False) -> str:
    """With `has_state`, the members have had the state of a cluster."""
    if not told.seen.members and set(told.seen.bare) >= set(wanted):
        if has_state:
            return f"all members are gone, and apps run on as they are: {REMEDY}"
        return "there is no cluster yet: ./inv up agents begins one, --restore one from a snapshot"
    if not told.seen.members and told.away:
        return "no member can be asked: NOTE says why"
    return outlook(told.seen.members)


def _row(member: Member, told: Told) -> dict[str, Any]:
    role = "learner" if member.learner else "leader" if member.leader else "follower"
    state = WELL if member.well else "added" if not member.name else "no leader" if member.answers else "lost"
    size = told.sizes.get(member.id)
    bare = "has no data" if member.name in told.seen.bare and not member.well else ""
    note = told.faults.get(member.id, "") or bare or told.away.get(member.name, "")
    return {
        "member": member.name or "-",
        "role": role,
        "state": state,
        "size": f"{size / 1e6:.1f} MB" if size is not None else "-",
        "address": member.address,
        "note": note,
    }


def _absent(host: str, told: Told) -> dict[str, Any]:
    """A host of the group that no member's list has."""
    note = told.away.get(host) or ("has no data" if host in told.seen.bare else "has data of one")
    return {"member": host, "role": "-", "state": "no member", "size": "-", "address": "-", "note": note}
