"""Stand-ins for unit and API tests: a node whose engine is a dictionary, and the fleet and inventory around it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from duckconf.command import Command, Completed
from duckconf.engine import WITH_VARIABLES
from duckconf.errors import NodeFailure
from duckconf.inventory import Host, Inventory
from duckconf.naming import LABEL_NODE


@dataclass
class FakeNode:
    """A `Runner` that understands the engine commands of `duckconf/engine.py` and remembers what it was asked."""

    name: str
    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[Command] = field(default_factory=list)
    refusal: str = ""
    log: str = ""
    """What every container said last."""
    copy_refusal: str = ""
    version: str = ""
    verbs: list[str] = field(default_factory=list)
    """What was done to containers."""
    answers: dict[str, Completed] = field(default_factory=dict)
    """To commands by their first word."""
    failure: NodeFailure | None = None
    away: NodeFailure | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, command: Command) -> Completed:
        with self.lock:
            self.asked.append(command)
            if self.failure is not None:
                raise self.failure
            if command.argv[0] in self.answers:
                return self.answers[command.argv[0]]
            argv = command.argv[4:] if WITH_VARIABLES in command.argv else command.argv
            verb = argv[1] if argv[0] == "docker" else ""
            if verb in ("run", "create", "cp", "start"):
                self.verbs.append(verb)
            if verb in ("run", "create"):
                return self._run(list(argv[2:]))
            if verb == "cp":
                return Completed(125, "", self.copy_refusal) if self.copy_refusal else Completed(0, "", "")
            if verb == "--version" and self.version:
                return Completed(0, self.version, "")
            if verb == "inspect":
                labels = self.containers.get(command.argv[-1])
                return Completed(1, "", "no such container") if labels is None else Completed(0, json.dumps(labels), "")
            if verb in ("start", "stop"):
                return Completed(0, "", "")
            if verb == "logs":
                return Completed(0, "", self.log)
            if verb == "rm":
                del self.containers[command.argv[-1]]
                return Completed(0, "", "")
            return Completed(127, "", f"{command.argv[0]}: command not found")

    def _run(self, options: list[str]) -> Completed:
        name = options[options.index("--name") + 1]
        labels = dict(item.removeprefix("--label=").split("=", 1) for item in options if item.startswith("--label="))
        labels[LABEL_NODE] = self.name
        # As the wrapper and the engines do: the node's label is added, and the container is there before its start fails.
        # But one whose name is taken is never made.
        if "container name" not in self.refusal:
            self.containers[name] = {**labels, "node": self.name}
        return Completed(125, "", self.refusal) if self.refusal else Completed(0, "id\n", "")


class FakeFleet:
    """Fake nodes by name."""

    def __init__(self, nodes: Iterable[FakeNode]) -> None:
        self.nodes = {node.name: node for node in nodes}

    def runner(self, node: str) -> FakeNode:
        return self.nodes[node]

    def update(self, hosts: Iterable[Host]) -> None:
        assert {host.name for host in hosts} == set(self.nodes)


class FakeHosts:
    """An inventory that does not change."""

    def __init__(self, names: Iterable[str]) -> None:
        hosts = {name: Host(name, "192.0.2.1") for name in names}
        self._inventory = Inventory(hosts, tuple(hosts))

    def current(self) -> Inventory:
        return self._inventory
