"""A stack: the services of a compose file that are asked for, with their names and their order. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from duckconf.compose_file.merging import spread, unique
from duckconf.compose_file.tree import Node
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import NAME
from duckconf.naming import LONGEST_NAME, SHARED_MODE

STRANGE = re.compile(r"[^a-z0-9-]+")
# The longest name that leaves room for that of a service.
LONGEST_STACK = 40
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"


@dataclass(frozen=True)
class Stack:
    """`services` are those that run, `model` is the whole file."""

    name: str
    services: Mapping[str, Node]
    model: Node

    def app(self, service: str) -> str:
        """The name of a service's app."""
        return app_name(self.name, service)

    @property
    def is_together(self) -> bool:
        """Whether its services find each other by name, for which they run on one node. One alone has nobody to find."""
        named = sum(_has_names(node) for node in self.services.values())
        return named > 1 or any(shared_service(node) for node in self.services.values())

    def neighbours(self, service: str) -> list[str]:
        """The others that find it by name, or share a network that does."""
        return [name for name, node in self.services.items() if name != service and (_has_names(node) or shared_service(node))]

    def names(self, service: str) -> list[str]:
        """Those that the other services know it by."""
        node = self.services[service]
        networks, own = node.get("networks"), node.get("container_name")
        found = [service, *([own.text] if own else [])]
        for entry in (networks.entries if networks else {}).values():
            found += [alias.text for alias in (entry.get("aliases") or Node((), entry.place)).items]
        for other in self.services.values():
            links = [link.text.partition(":") for link in (other.get("links") or Node((), other.place)).items]
            found += [alias for linked, _, alias in links if linked == service and alias]
        return list(dict.fromkeys(found))

    def declared(self, part: str, name: str) -> Node | None:
        """A volume, network, config or secret of the file, also one of which it says no more than the name."""
        found = self.model.get(part)
        return found.entries.get(name) if found else None


def app_name(stack: str, service: str) -> str:
    """A valid name of an app: service names have dots, underscores and capitals too."""
    return f"{stack}-{STRANGE.sub('-', service.lower()).strip('-')}"


def stack_of(model: Node, typed: str, environ: Mapping[str, str], folder: str, profiles: Collection[str]) -> Stack:
    """Raises BadInput with file and line for what is wrong with the services as a whole."""
    name = _name(model, typed, environ, folder)
    services = model.get("services")
    wanted = {*profiles, *filter(None, environ.get("COMPOSE_PROFILES", "").split(","))}
    everything = services.entries if services else {}
    active = {key: _spread(key, node) for key, node in everything.items() if _is_active(node, wanted)}
    if not active:
        raise model.refuse("has no service" + (" without a profile; name one with --profile" if everything else ""))
    checked = {key: _with_dependencies(key, node, active, everything) for key, node in active.items()}
    _refuse_cycles(checked)
    _refuse_one_name(name, checked)
    return Stack(name, checked, model)


def shared_service(service: Node) -> str:
    """The service whose network it uses, "" where it has one of its own."""
    mode = service.get("network_mode")
    return mode.text.removeprefix(SHARED_MODE) if mode and mode.text.startswith(SHARED_MODE) else ""


def _has_names(service: Node) -> bool:
    mode = service.get("network_mode")
    return mode is None or mode.text == "default"


def conditions(service: Node) -> dict[str, str]:
    """The services that must be there before, each with how far they must be."""
    depends = service.get("depends_on")
    return {
        name: (condition.text if (condition := entry.get("condition")) else STARTED)
        for name, entry in (depends.entries if depends else {}).items()
    }


def before(service: Node) -> dict[str, str]:
    """Those that it names in `depends_on`, and those whose network it uses."""
    shared = shared_service(service)
    return {**({shared: STARTED} if shared else {}), **conditions(service)}


def _name(model: Node, typed: str, environ: Mapping[str, str], folder: str) -> str:
    said = model.get("name")
    by_folder = STRANGE.sub("", posixpath.basename(folder).lower().replace("_", "-")).strip("-")
    # In the order of Docker Compose.
    by_environ = environ.get("COMPOSE_PROJECT_NAME", "")
    name = typed or by_environ or (said.text if said else "") or by_folder
    if not NAME.fullmatch(name) or len(name) > LONGEST_STACK:
        what = f"the name of the stack should have at most {LONGEST_STACK} of a-z, 0-9 and -, got {name!r}; name it with --stack"
        raise BadInput(Fault(str(said.place) if said and not (typed or by_environ) else "--stack", what))
    return name


def _is_active(service: Node, wanted: Collection[str]) -> bool:
    profiles = service.get("profiles")
    return profiles is None or "*" in wanted or not profiles.items or any(one.text in wanted for one in profiles.items)


def _spread(name: str, service: Node) -> Node:
    found = {key: spread(entry, ("services", name, key)) for key, entry in service.entries.items()}
    return service.with_entries({key: unique(entry, ("services", name, key)) for key, entry in found.items()})


def _with_dependencies(name: str, service: Node, active: Mapping[str, Node], everything: Mapping[str, Node]) -> Node:
    """Without those that are not required and not there. Raises BadInput for those that must be and are not."""
    depends = service.get("depends_on")
    kept = {}
    for other, entry in (depends.entries if depends else {}).items():
        required = entry.get("required")
        if other in active:
            kept[other] = entry
        elif required is None or required.text != "false":
            why = "only a profile has it: --profile" if other in everything else "there is no such service"
            raise entry.refuse(f"services/{name}/depends_on: needs {other}, but {why}")
    for other in before(service):
        if other not in active and other not in (depends.entries if depends else {}):
            raise service.entries["network_mode"].refuse(f"services/{name}/network_mode: there is no service {other}")
    return service if depends is None else service.with_entries({**service.entries, "depends_on": replace(depends, value=kept)})


def _refuse_cycles(services: Mapping[str, Node]) -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            chain = " → ".join((*above[above.index(name) :], name))
            key = "depends_on" if name in conditions(services[above[-1]]) else "network_mode"
            raise services[above[-1]].entries[key].refuse(f"services/{above[-1]}/{key}: is a cycle: {chain}")
        if name not in done:
            for other in before(services[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in services:
        visit(name, ())


def _refuse_one_name(stack: str, services: Mapping[str, Node]) -> None:
    known: dict[str, str] = {}
    for service, node in services.items():
        name = app_name(stack, service)
        if not NAME.fullmatch(name):
            raise node.refuse(
                f"services/{service}: its app would be {name}, which has over {LONGEST_NAME} letters or ends with -"
            )
        if name in known:
            raise node.refuse(f"services/{service}: its app would be {name}, as that of {known[name]}; rename one of them")
        known[name] = service
