"""Runs `roles/provision.yml` with Ansible over some hosts, tells what it does as it happens, and gives a result per host.

Host keys that are not pinned are refused, as everywhere. Nothing secret is on a command line or in the output.
Mitogen keeps one Python running per host, where Ansible starts and compiles one per task: twice as quick.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError, NodeFailure, SetupError, Unreachable
from duckconf.inventory import Host
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.host_keys import OWN_PINS
from duckconf.reach.state.files import write_durably

PLAYBOOK = Path("roles") / "provision.yml"
# The group of the hosts that run the front, however the inventory says so.
FRONTS = "duckconf_fronts"
CALLBACKS = Path(__file__).with_name("ansible_callback")
MOST_FORKS = 50
LONGEST_REASON = 400
# A host that freezes on the way costs as many times so many seconds.
SILENCES = 3
SILENCE_SECONDS = 5
# What Mitogen says then, and also when the host goes down.
MITOGENS_LOSS = ("Channel was disconnected", "Mitogen was disconnected")
# What all hosts have instead of what inventory, ansible.cfg and environment say, which is part of it.
SSH_VARIABLES = {
    "ansible_ssh_args": "{{ duckconf_ssh_args }}",
    "ansible_ssh_common_args": "",
    "ansible_ssh_extra_args": "",
    "ansible_host_key_checking": True,
    "ansible_ssh_host_key_checking": True,
}


@dataclass
class Outcome:
    """What became of one host."""

    changed: int = 0
    failure: DuckconfError | None = None
    reached: bool = False

    def joined(self, other: Outcome) -> Outcome:
        """Of two runs on the same host; a failure of either is a failure."""
        return Outcome(self.changed + other.changed, self.failure or other.failure, self.reached or other.reached)


@dataclass(frozen=True)
class Playbook:
    """A run over `hosts`: `shared` are variables that hold whatever the inventory says, `defaults` those that it may set."""

    project: Project
    hosts: Sequence[Host]
    shared: Mapping[str, Any]
    defaults: Mapping[str, Any]
    tags: Sequence[str]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def run(self) -> dict[str, Outcome]:
        """One outcome per host, also for those that failed; raises SetupError when Ansible cannot run at all."""
        folder = self.project.state / "provision"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.outcomes.update({host.name: Outcome() for host in self.hosts})
        hosts_file, shared_file = (folder / f"{'-'.join(self.tags)}.{name}.json" for name in ("hosts", "variables"))
        write_durably(hosts_file, json.dumps(self._inventory(), indent=2).encode())
        write_durably(shared_file, json.dumps({**SSH_VARIABLES, **self.shared}, indent=2).encode())
        inventories = (hosts_file, self.project.inventory_path, *self.project.more_inventory)
        argv = [
            str(Path(sys.executable).with_name("ansible-playbook")), str(self.project.root / PLAYBOOK),
            *(word for path in inventories for word in ("--inventory", str(path))),
            "--extra-vars", f"@{shared_file}", "--limit", ",".join(host.name for host in self.hosts),
            "--tags", ",".join(self.tags),
        ]  # fmt: skip
        with tempfile.TemporaryFile() as words:
            with subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                env=self._environ(),
                cwd=self.project.root,
                text=True,
            ) as process:
                for line in process.stdout or ():
                    self._take(line)
            words.seek(0)
            told = words.read().decode(errors="replace")
        if process.returncode != 0 and all(outcome.failure is None for outcome in self.outcomes.values()):
            raise SetupError(f"ansible-playbook failed: {_last_error(told)}", "see `./inv doctor`")
        for name, outcome in self.outcomes.items():
            if not outcome.reached:
                outcome.failure = NodeFailure(name, "was not run, because all hosts of an earlier batch failed")
        return self.outcomes

    def _take(self, line: str) -> None:
        try:
            told = json.loads(line)
            host, task, event = str(told["host"]), str(told["task"]).rpartition(" : ")[2], told["event"]
        except (ValueError, KeyError, TypeError):
            return
        outcome = self.outcomes.setdefault(host, Outcome())
        outcome.reached = True
        if event == "ok":
            if told["changed"]:
                outcome.changed += 1
                say(f"  {host}: {_lower(task)}: changed")
            return
        reason = told["reason"][:LONGEST_REASON]
        if any(words in reason for words in MITOGENS_LOSS):
            # Also told as a failure of the task, by who waited for a connection that another one had begun.
            event, reason = "unreachable", f"the connection broke, or nothing came for {SILENCES * SILENCE_SECONDS} s"
        say(f"  {host}: {_lower(task)}: {event}: {reason}")
        kind = Unreachable if event == "unreachable" else NodeFailure
        outcome.failure = kind(host, f"{_lower(task)}: {reason}")

    def _inventory(self) -> dict[str, Any]:
        """Read before the project's own, which may say otherwise."""
        # Mitogen tells ssh its own patience first, which is five minutes.
        patience = {"mitogen_ssh_keepalive_interval": SILENCE_SECONDS, "mitogen_ssh_keepalive_count": SILENCES}
        return {
            "all": {
                "vars": {"ansible_python_interpreter": "/usr/bin/python3", **patience, **self.defaults},
                "hosts": {host.name: self._login(host) for host in self.hosts},
                "children": {FRONTS: {"hosts": {host.name: {} for host in self.hosts if host.edge}}},
            }
        }

    def _login(self, host: Host) -> dict[str, Any]:
        own = {"ansible_user": host.user, "duckconf_become": host.own_login, "duckconf_ssh_args": self._ssh_args(host)}
        if host.demo and host.key_file is None and host.password is None:
            own["ansible_ssh_private_key_file"] = str(self.project.login_key)
        return own

    def _ssh_args(self, host: Host) -> str:
        """What counts for ssh beside the inventory's own arguments: host keys are expected as everywhere else."""
        known = [str(OWN_PINS)] if host.way.known_hosts is None else host.way.known_hosts
        pins = " ".join(f'"{path}"' for path in (self.project.pins, *known))
        options = (
            "ControlMaster=auto", "ControlPersist=30s", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={pins}",
        )  # fmt: skip
        # A demo host is found by its address alone: what the operator's ssh_config says of 127.0.0.1 is not for it.
        more = ("-F", "/dev/null", "-o", "IdentitiesOnly=yes") if host.demo else host.ssh_words
        return shlex.join([*(word for option in options for word in ("-o", option)), *more])

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            **quick_strategy(),
            "ANSIBLE_FORKS": str(min(len(self.hosts), MOST_FORKS)),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_STDOUT_CALLBACK": "duckconf_lines",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_VERBOSITY": "0",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
        }


def quick_strategy() -> dict[str, str]:
    """The environment that has Ansible run a play's tasks through Mitogen; raises SetupError when it is not installed."""
    spec = find_spec("ansible_mitogen")
    if spec is None or spec.origin is None:
        raise SetupError("the Python package mitogen is missing", "remove .venv, and ./inv makes it again")
    plugins = Path(spec.origin).parent / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}


def _last_error(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("[ERROR]")]
    return " ".join((errors or lines or ["without a word"])[-1].split())[:LONGEST_REASON]


def _lower(task: str) -> str:
    return task[:1].lower() + task[1:]
