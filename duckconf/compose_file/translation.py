"""A service of a compose file as the body of an app. Pure.

All that is not as the file has it is said at once, each with its line: what is ignored and what is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from duckconf.compose_file import verdicts
from duckconf.compose_file.beside import Carried, Mounted, mounted
from duckconf.compose_file.environment import environment
from duckconf.compose_file.granted import granted
from duckconf.compose_file.loading import Reader
from duckconf.compose_file.own_fields import OWN, strange_fields, with_own_fields
from duckconf.compose_file.stack import COMPLETED, Stack, before, conditions, shared_service
from duckconf.compose_file.tree import Node, Place, at, find, plain, walk
from duckconf.compose_file.verdicts import Finding
from duckconf.errors import BadInput, Fault
from duckconf.model import App, parse_app
from duckconf.naming import SHARED_MODE, STACK_MODE
from duckconf.place_kinds import GLOBAL
from duckconf.together import unit_of

# Read elsewhere, or of no use once the services are known.
HANDLED = (*verdicts.TRANSLATED, "depends_on", "environment", "volumes", "secrets", "profiles")
DEFAULT = "default"
SPREAD = (("deploy", "replicas"), ("scale",), ("deploy", "mode"))
ONE_NODE = "{others} and this one find each other by name on one node, and this one would run on several ({how}). "
ONE_INSTANCE = "Leave this out for one instance"
APART = (
    "{one}, or spread it with network_mode: bridge: it is reached at a route then (labels: {{duckconf.route: HOST}}), and "
    "reaches the others at ports that they publish"
)


@dataclass(frozen=True)
class Translated:
    """`apps` by name, `carried` what must be on the cluster before they are declared."""

    apps: Mapping[str, App] = field(default_factory=dict)
    carried: tuple[Carried, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def refused(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.refused)


def translate(stack: Stack, reader: Reader, known: Mapping[str, str]) -> Translated:
    """The apps of the stack; none of a service that is refused."""
    jobs = {name for one in stack.services.values() for name, how in conditions(one).items() if how == COMPLETED}
    findings = [*_of_file(stack)]
    apps: dict[str, App] = {}
    carried: dict[str, Carried] = {}
    for name, node in stack.services.items():
        service = _Service(stack, name, node, reader, known, name in jobs)
        app = service.app()
        findings += service.findings
        if app is not None:
            apps[app.name] = app
            carried |= {one.name: one for one in service.carried}
    findings.sort(key=lambda one: (one.place.file, one.place.line))
    return Translated(apps, tuple(carried.values()), tuple(dict.fromkeys(findings)))


def _of_file(stack: Stack) -> Iterator[Finding]:
    for key, why in verdicts.OF_FILE.items():
        if (found := stack.model.get(key)) is not None and found.entries:
            yield Finding(found.place, key, why)


class _Service:
    """One service while it is translated; what is found on the way is kept in `findings`."""

    def __init__(self, stack: Stack, name: str, node: Node, reader: Reader, known: Mapping[str, str], is_job: bool) -> None:
        self._stack = stack
        self._name = name
        self._node = node
        self._reader = reader
        self._known = known
        self._is_job = is_job
        self._places: dict[str, list[tuple[str, int]]] = {"volumes": [], "secrets": []}
        self.carried: list[Carried] = []
        self.findings: list[Finding] = []

    def app(self) -> App | None:
        if faulty := [(path, below) for path, below in walk(self._node) if below.fault]:
            self.findings += [self._finding(path, below.fault) for path, below in faulty]
            return None
        body = {key: plain(value) for key, value in self._node.entries.items() if self._is_field(key, value)}
        body |= self._restart() | self._mounts_and_grants() | self._names_and_order()
        self._look_at_networks()
        body |= self._deploy(body)
        try:
            body |= self._environment()
        except BadInput as bad:
            self.findings += [_elsewhere(fault) for fault in bad.faults]
        whole = {**body, "name": self._stack.app(self._name), "stack": self._stack.name}
        if "image" not in body and any(finding.refused for finding in self.findings):
            # What is built has no image yet.
            return None
        strange = [self._finding(path, why) for path, why in strange_fields(self._node)]
        self.findings += strange
        app = None if strange else self._parsed(with_own_fields(whole, self._node))
        if app is not None and unit_of(app) and (app.replicas > 1 or app.mode == GLOBAL):
            path = next(path for path in SPREAD if find(self._node, path) is not None)
            self.findings.append(self._finding(path, self._why_on_one_node(app)))
        return app

    def _why_on_one_node(self, app: App) -> str:
        how = "one on each" if app.mode == GLOBAL else f"{app.replicas} instances"
        shares = shared_service(self._node) or any(shared_service(node) == self._name for node in self._stack.services.values())
        what = ONE_INSTANCE if shares else APART.format(one=ONE_INSTANCE)
        return ONE_NODE.format(others=", ".join(self._stack.neighbours(self._name)), how=how) + what

    @property
    def _is_in_network(self) -> bool:
        mode = self._node.get("network_mode")
        return self._stack.is_together and (mode is None or mode.text == DEFAULT)

    def _names_and_order(self) -> dict[str, Any]:
        after, shared = before(self._node), shared_service(self._node)
        found: dict[str, Any] = {"network_mode": f"{SHARED_MODE}{self._stack.app(shared)}"} if shared else {}
        if shared and shared not in self._stack.neighbours(self._name):
            why = f"{shared} is in no network of the stack, and may run on another node; leave out its network_mode"
            self.findings.append(self._finding(("network_mode",), why))
        if self._is_in_network:
            found |= {"network_mode": f"{STACK_MODE}{self._stack.name}", "aliases": self._stack.names(self._name)}
        return found | ({"depends_on": {self._stack.app(name): how for name, how in after.items()}} if after else {})

    def _parsed(self, body: Mapping[str, Any]) -> App | None:
        try:
            return parse_app(body)
        except BadInput as bad:
            self.findings += [self._finding(self._typed(fault.path.split("/")), fault.message) for fault in bad.faults]
            return None

    def _typed(self, path: list[str]) -> tuple[Any, ...]:
        """Where it stands in the file: files beside it are mounted as secrets are."""
        key, *rest = path
        if find(self._node, (OWN, key)) is not None:
            return (OWN, *path)
        if key in self._places and rest and rest[0].isdigit() and int(rest[0]) < len(self._places[key]):
            return (*self._places[key][int(rest[0])], *rest[1:])
        return tuple(path)

    def _finding(self, path: tuple[Any, ...], why: str, *, refused: bool = True) -> Finding:
        what = "/".join(map(str, ("services", self._name, *path)))
        return Finding(at(self._node, path).place, what, why, refused)

    def _is_field(self, key: str, value: Node) -> bool:
        """Whether the app is given the key as it is. Notes what is ignored or refused."""
        if key in HANDLED or key.startswith("x-") or value.value is None:
            return False
        nothing = value.value is False or value.value in ("", (), {})
        if key == "build":
            self._build(value)
            return False
        ignored, refused = verdicts.IGNORED.get(key), verdicts.why_refused(key)
        if (ignored or refused) and not nothing:
            stays = verdicts.NAME_STAYS if key == "container_name" and self._is_in_network else ""
            self.findings.append(self._finding((key,), f"{ignored or refused}{stays}", refused=not ignored))
        return not ignored and not refused

    def _build(self, build: Node) -> None:
        image, context = self._node.get("image"), build.get("context") or build
        name = image.text if image else f"localhost/{self._stack.name}/{self._name}"
        told = verdicts.BUILD.format(image=name, context=context.text or ".")
        if image is None:
            self.findings.append(self._finding(("build",), f"{told}; then write image: {name}"))
        else:
            self.findings.append(self._finding(("build",), told, refused=False))

    def _restart(self) -> dict[str, Any]:
        """A service that another one waits for the end of is a job, also where it does not say so."""
        said = self._node.get("restart") or find(self._node, ("deploy", "restart_policy"))
        return {"restart": "no"} if self._is_job and said is None else {}

    def _environment(self) -> dict[str, Any]:
        found = environment(self._node, self._reader, self._known)
        return {"environment": found} if found else {}

    def _mounts_and_grants(self) -> dict[str, Any]:
        volumes: list[Any] = []
        secrets: list[Any] = []
        for part in ("volumes", "configs", "secrets"):
            given = self._node.get(part)
            for number, item in enumerate(given.items if given else ()):
                try:
                    found = self._mounted(part, item)
                except BadInput as bad:
                    self.findings += [_elsewhere(fault, ("services", self._name, part, number)) for fault in bad.faults]
                    continue
                volumes += found.volumes
                secrets += found.uses
                self.carried += found.carried
                self._places["volumes"] += [(part, number)] * len(found.volumes)
                self._places["secrets"] += [(part, number)] * len(found.uses)
        return ({"volumes": volumes} if volumes else {}) | ({"secrets": secrets} if secrets else {})

    def _mounted(self, part: str, item: Node) -> Mounted:
        if part == "volumes":
            return mounted(item, self._stack, self._reader)
        return granted(part, item, self._stack, self._reader, self._known)

    def _look_at_networks(self) -> None:
        networks = self._node.get("networks")
        for name, entry in (networks.entries if networks else {}).items():
            for key in entry.entries:
                if key not in ("aliases", "priority", "gw_priority") and not key.startswith("x-"):
                    why = "the engine chooses the addresses of containers"
                    self.findings.append(self._finding(("networks", name, key), why))
            declared = self._stack.declared("networks", name)
            external = declared.get("external") if declared is not None else None
            if external is not None and external.text != "false":
                why = "a network that other stacks are in is on one node only; publish ports, and use the nodes' addresses"
                self.findings.append(self._finding(("networks", name), why))
            elif name != DEFAULT:
                internal = declared.get("internal") if declared is not None else None
                open_too = ", which reaches other addresses too" if internal is not None and internal.text == "true" else ""
                self.findings.append(self._finding(("networks", name), f"{verdicts.SAME_NETWORK}{open_too}", refused=False))

    def _deploy(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """`deploy` without what is ignored there, and `mem_reservation` where it stands in the newer form."""
        deploy = dict(body["deploy"]) if isinstance(body.get("deploy"), dict) else {}
        for path, why in verdicts.DEPLOY_IGNORED.items():
            steps = ("deploy", *path.split("/"))
            if (told := find(self._node, steps)) is not None and told.value not in ({}, ()):
                self.findings.append(self._finding(steps, why, refused=False))
                holder = deploy if len(steps) == 2 else dict(deploy[steps[1]])
                holder.pop(steps[-1])
                deploy |= {} if len(steps) == 2 else {steps[1]: holder}
        found: dict[str, Any] = {"deploy": deploy} if "deploy" in body else {}
        reserved = self._node.get("mem_reservation")
        if reserved is not None and find(self._node, ("deploy", "resources", "reservations", "memory")) is None:
            found["reserve_memory"] = reserved.text
        return found


def _elsewhere(fault: Fault, path: tuple[Any, ...] = ()) -> Finding:
    """A fault that names its own place, which may be in another file."""
    file, _, line = fault.path.rpartition(":")
    place = Place(file, int(line)) if line.isdigit() else Place(fault.path, 0)
    return Finding(place, "/".join(map(str, path)), fault.message)
