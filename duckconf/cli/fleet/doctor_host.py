"""`./inv doctor NODE`: from the name to the disk, each check only when those that it needs went well.

Every wait has a deadline, so that a host that is frozen costs a few seconds.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from duckconf import checkup, engine, facts, host_words
from duckconf.checkup import OK, UNKNOWN, WRONG, Expected, Finding
from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.fleet.daily_login import diagnosed
from duckconf.cli.fleet.limits import chosen_hosts
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.command import Command, Runner
from duckconf.engine_output import read_containers
from duckconf.errors import DuckconfError, LoginRefused, NodeFailure
from duckconf.inventory import ROOT, Host
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.ssh.fleet import Fleet, refused_key
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts, WrongHostKey, is_expected, shown_key
from duckconf.reach.ssh.line import Line

WRAPPER_SOURCE = ("roles", "node", "files", "docker-wrapper")
ON_THE_HOST = ("python", "engine", "wrapper", "node name", "clock", "disk", "containers")
Look = Callable[[], str]
# Remedies that lead here, where the reader is.
THIS_TASK = re.compile(r"(?:^see|, where) `?\./inv doctor \S+?`?(?: looks)?$")


def examine_hosts(project: Project, pattern: str, *, as_json: bool) -> int:
    """The findings of each host that the pattern means; 1 when one is not ok."""
    inventory = project.inventory(secrets=True)
    hosts = {host.name: host for host in chosen_hosts(project, inventory, pattern, tuple(inventory.hosts))}
    asked = ask_all(hosts, lambda name: list(Checkup(project, hosts[name], node=name in inventory.nodes).findings()))
    findings = {name: found if isinstance(found, list) else [Finding("host", WRONG, str(found))] for name, found in asked.items()}
    rows = [{"host": name, **finding._asdict()} for name, found in findings.items() for finding in found]
    if as_json:
        print_json(rows)
    else:
        columns = ("check", "result", "detail") if len(hosts) == 1 else ("host", "check", "result", "detail")
        print_table(rows, columns, "no hosts")
    return 0 if all(row["result"] == OK for row in rows) else 1


def detail(failure: NodeFailure) -> str:
    remedy = THIS_TASK.sub("", failure.remedy)
    return f"{failure.reason}: {remedy}" if remedy else failure.reason


class Checkup:
    """One host, looked at from the outside in."""

    def __init__(self, project: Project, host: Host, *, node: bool) -> None:
        self._project = project
        self._host = host
        self._node = node
        self._deadline = project.settings.node_deadline
        self._failed = ""

    def findings(self) -> Iterator[Finding]:
        if self._host.refused is not None:
            yield self._check("inventory", self._refuse)
        yield self._check("name", self._resolve)
        yield self._check("port", self._connect)
        yield self._check("host key", self._compare_key)
        pins = KnownHosts(self._project.pins, OWN_PINS)
        with closing(
            Fleet([self._host], pins, self._project.login_key, self._deadline, refusals=self._project.refusals)
        ) as fleet:
            # Root's rights and the daily login are two ways in: that one is wrong says nothing of the other.
            if self._host.user != ROOT:
                before = self._failed
                yield self._check("sudo", lambda: self._become_root(fleet))
                self._failed = before
            yield self._check("login", lambda: self._log_in(fleet))
            yield from self._inside(fleet)

    def _check(self, check: str, look: Look) -> Finding:
        if self._failed:
            return Finding(check, UNKNOWN, f"not checked: {self._failed}")
        try:
            return Finding(check, OK, look())
        except NodeFailure as failure:
            self._failed = check
            return Finding(check, WRONG, detail(failure))
        except DuckconfError as error:
            self._failed = check
            return Finding(check, WRONG, str(error))

    def _refuse(self) -> str:
        with Line(self._host, self._deadline) as line:
            line.open()
        raise AssertionError

    def _resolve(self) -> str:
        """In a thread of its own: a resolver has deadlines of its own, and long ones."""
        host, pool = self._host, ThreadPoolExecutor(1)
        if host.way.proxy:
            return f"{host.address} is resolved by {host.way.jump}"
        try:
            found = pool.submit(socket.getaddrinfo, host.address, host.port, 0, socket.SOCK_STREAM).result(self._deadline)
        except (OSError, UnicodeError) as error:
            reason = f"{host.address} does not resolve: {getattr(error, 'strerror', None) or error or 'no answer'}"
            raise NodeFailure(host.name, reason, "see ansible_host in the inventory, DNS or /etc/hosts") from None
        except TimeoutError:
            raise NodeFailure(host.name, f"{host.address} does not resolve within {self._deadline:g} s", "see your DNS") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        addresses = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))
        return addresses if addresses == host.address else f"{host.address} is {addresses}"

    def _connect(self) -> str:
        host = self._host
        try:
            with Line(host, self._deadline) as line:
                opened = line.open()
                if host.way.proxy:
                    # That a program runs says nothing: sshd speaks first.
                    opened.settimeout(self._deadline)
                    if not opened.recv(1):
                        raise line.why() or ConnectionResetError("it hangs up")
        except OSError as error:
            reason = f"nothing answers at {host.where}: {error.strerror or error}"
            remedy = (
                "a demo host is started by `./inv up MODE`" if host.demo else "is the host up, sshd running, the firewall open?"
            )
            raise NodeFailure(host.name, reason, remedy) from None
        return f"{host.where} is open{f', through {host.way.jump}' if host.way.proxy else ''}"

    def _compare_key(self) -> str:
        host = self._host
        expected = KnownHosts(self._project.pins, OWN_PINS).of(host)
        key = shown_key(host, self._deadline, expected)
        if not is_expected(expected, key):
            raise refused_key(host, WrongHostKey(key, expected))
        return f"{key.fingerprint} is pinned"

    def _log_in(self, fleet: Fleet) -> str:
        try:
            fleet.runner(self._host.name).open()
        except LoginRefused as refused:
            raise diagnosed(refused, self._host, fleet) from refused
        daily = self._host.daily()
        return f"as {daily.user}, by {'password' if daily.password is not None else 'key'}"

    def _become_root(self, fleet: Fleet) -> str:
        done = fleet.admin(self._host.name).run(Command(("id", "-u"), deadline=checkup.SECONDS))
        if not done.ours or done.stdout.strip() != "0":
            raise host_words.another_program(self._host.name, done)
        return f"{self._host.user} becomes root, {'with' if self._host.become_password is not None else 'without'} a password"

    def _inside(self, fleet: Fleet) -> Iterator[Finding]:
        """What only the host itself can tell; a control plane is no node and has no engine."""
        agent = self._node and mode_of(self._project) == AGENTS
        checks = (*ON_THE_HOST, *(("agent",) if agent else ())) if self._node else ("python", "clock")
        if not self._failed:
            runner, name = fleet.runner(self._host.name), self._host.name
            try:
                before = time.time()
                asked = runner.run(checkup.ask())
                if not (asked.ok and asked.ours and checkup.answers(asked.stdout)):
                    raise host_words.another_program(name, asked)
                told = asked.stdout
                expected = Expected(name, self._wrapper(), agent, (before + time.time()) / 2)
                seen = facts.read_facts(self._host.engine, runner.run(facts.ask(self._host.engine)).stdout)
                yield from (finding for finding in checkup.read(told, seen, expected) if finding.check in checks)
                if self._node:
                    yield self._check("containers", lambda: self._list(runner))
                return
            except NodeFailure as failure:
                yield Finding("commands", WRONG, detail(failure))
                self._failed = "commands"
        for check in checks:
            yield Finding(check, UNKNOWN, f"not checked: {self._failed}")

    def _list(self, runner: Runner) -> str:
        """The question that the modes live on, read as they read it."""
        question = engine.list_ours(self._project.cluster, self._host.engine)
        return f"{len(read_containers(self._host.name, runner.run(question)))} of this cluster"

    def _wrapper(self) -> str:
        return hashlib.sha256(self._project.root.joinpath(*WRAPPER_SOURCE).read_bytes()).hexdigest()
