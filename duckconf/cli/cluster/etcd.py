"""Looks at the members of etcd over SSH, and brings them step by step to those that the inventory wants.

What the next step is, `duckconf/members.py` decides; here it is done. Killed at any point, the next run goes on from what
it sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from duckconf.cli.terminal.say import say, step
from duckconf.command import Command, Runner
from duckconf.errors import DuckconfError, NodeFailure, SetupError
from duckconf.members import Add, Begin, Done, Member, Promote, Refused, Remove, Start, may_fail, next_step
from duckconf.members_told import CTL, QUESTION, Told, read_told
from duckconf.net_address import with_port
from duckconf.reach.nodes.parallel import ask_all

PEER_PORT = 2380
NEW, KEEP, JOIN, RESTORE = "new", "keep", "join", "restore"
# For a host to answer: one that is passed over counts as away.
PATIENCE = 10.0
# A cluster of 2 GiB is copied to a new member in this time also over a slow line.
CATCH_UP = 300.0
# Members of which too few answer may have been booted a moment ago.
COME_UP = 20.0
LOOK_EVERY = 1.0
MOST_STEPS = 50


ALL_GONE = "agents would remove all apps if members of etcd began without it"
REMEDY = (
    "./inv members --restore SNAPSHOT, or ./inv restore BACKUP; without either, ./inv up reconcile takes over what runs, and "
    "./inv up agents begins anew"
)


class Admins(Protocol):
    """Gives what runs commands as root on a host, as `Fleet` does."""

    def admin(self, node: str) -> Runner: ...


# Runs the role on one host, which joins these members (host: address); raises DuckconfError when it does not come up.
Begins = Callable[[str, Mapping[str, str]], None]


def refusal(refused: Refused, told: Told) -> SetupError:
    """With why each host that cannot be reached cannot."""
    away = "; ".join(f"{host} {why}" for host, why in sorted(told.away.items()))
    return SetupError(f"{refused.reason}: {away}" if away else refused.reason, refused.remedy)


@dataclass(frozen=True)
class Etcd:
    """`wanted` has the address of each host that should be a member. With `has_state`, the members have had the state of a
    cluster: they never begin without one, since agents would remove what should run."""

    wanted: Mapping[str, str]
    fleet: Admins
    has_state: bool = False

    def look(self) -> Told:
        """Never raises for a host: one that cannot be reached is away."""

        def ask(host: str) -> str:
            return self.fleet.admin(host).run(Command(("sh", "-c", QUESTION), deadline=60.0)).stdout

        found = ask_all(self.wanted, ask)
        away = {host: str(answer).removeprefix(f"{host}: ") for host, answer in found.items() if isinstance(answer, NodeFailure)}
        for answer in found.values():
            if isinstance(answer, DuckconfError) and not isinstance(answer, NodeFailure):
                raise answer
        return read_told({host: answer for host, answer in found.items() if isinstance(answer, str)}, away)

    def settle(self, begin: Begins) -> str:
        """The members are those that are wanted when this returns: the step for the roles that follow. Raises SetupError for
        what is refused, before that step changes anything."""
        for _ in range(MOST_STEPS):
            told = self._look_again()
            todo = next_step(self.wanted, told.seen)
            if isinstance(todo, Done):
                return KEEP
            if isinstance(todo, Begin) and self.has_state:
                raise SetupError(f"no host of the group control_plane has the state of the cluster any more: {ALL_GONE}", REMEDY)
            if isinstance(todo, Begin):
                return NEW
            if isinstance(todo, Refused):
                raise refusal(todo, told)
            self._do(todo, told, begin)
        raise SetupError("the members of etcd change while this runs", "type the same command again")

    def _look_again(self) -> Told:
        """Until a majority is there, or has had the time to come up."""
        end = time.monotonic() + COME_UP
        told = self.look()
        if not self._may_come(told):
            return told
        say(f"  waiting up to {COME_UP:.0f} s for a majority of etcd's members …")
        while self._may_come(told) and time.monotonic() <= end:
            time.sleep(LOOK_EVERY)
            told = self.look()
        return told

    def _may_come(self, told: Told) -> bool:
        """Whether there is a cluster that has no majority now."""
        begun = bool(told.seen.members) or not set(self.wanted) <= {*told.seen.bare, *told.seen.away}
        return begun and not (told.seen.members and may_fail(told.seen.members) >= 0)

    def _do(self, todo: Add | Start | Promote | Remove, told: Told, begin: Begins) -> None:
        if isinstance(todo, Add):
            say(f"  {todo.host}: added to the members of etcd{' as a learner' if todo.learner else ''}")
            url = f"https://{with_port(self.wanted[todo.host], PEER_PORT)}"
            how = ("--learner",) if todo.learner else ()
            self._control(told.by, "member", "add", todo.host, f"--peer-urls={url}", *how)
        elif isinstance(todo, Start):
            members = {member.name: member.address for member in told.seen.members if member.name}
            begin(todo.host, {**members, todo.host: self.wanted[todo.host]})
            self._await_well(todo.host)
        elif isinstance(todo, Promote):
            with step(f"waiting for {todo.member.name} to have all data"):
                self._promote(told.by, todo.member)
        else:
            say(f"  {todo.member.name or todo.member.address}: removed from the members of etcd: {todo.why}")
            self._control(told.by, "member", "remove", f"{todo.member.id:x}")

    def _promote(self, by: str, member: Member) -> None:
        end = time.monotonic() + CATCH_UP
        while True:
            try:
                return self._control(by, "member", "promote", f"{member.id:x}")
            except SetupError as refused:
                if "in sync with leader" not in refused.message or time.monotonic() > end:
                    raise
            time.sleep(LOOK_EVERY)

    def _await_well(self, host: str) -> None:
        end = time.monotonic() + CATCH_UP
        while not any(member.name == host and member.well for member in self.look().seen.members):
            if time.monotonic() > end:
                reason = "has begun as a member of etcd, and does not follow the leader"
                raise NodeFailure(host, reason, "see `journalctl -u duckconf-etcd` there")
            time.sleep(LOOK_EVERY)

    def _control(self, host: str, *words: str) -> None:
        done = self.fleet.admin(host).run(Command((CTL, *words), deadline=30.0))
        if not done.ok:
            lines = [line for line in done.stderr.splitlines() if line.startswith("Error")] or done.stderr.splitlines()
            raise SetupError(f"{host}: etcdctl {' '.join(words[:2])}: {' '.join(lines[-1:])}", "see `./inv members`")
