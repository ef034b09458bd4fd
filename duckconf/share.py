"""One node's share of the desired state, as the api-server tells it to the node's agent. Pure.

The revisions of a server only grow, and so do the generations of an app's placements: what is older never wins. Several servers
each count for themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from duckconf.desired import UNKNOWN, Desired
from duckconf.errors import BadInput, Fault
from duckconf.instance import Instance
from duckconf.model import NAME, parse_app
from duckconf.naming import app_of
from duckconf.secrets import lacking, not_set
from duckconf.told_image import told_from_json

NEVER = -1
# Of an instance, beside the fields of its app.
TOLD = ("revision", "slot", "node", "generation", "ended", "siblings", "bound", "data", "runs", "serves")


@dataclass(frozen=True)
class Share:
    """What this node should run. `revision` is NEVER when it was never told; `answer` is what it was read from. `origin` is the
    server among several that has told it, "" for one that is alone."""

    revision: int = NEVER
    desired: Desired = UNKNOWN
    faults: tuple[str, ...] = ()
    asked: int = 0
    """How often a person asked that this node try again what its engine refused."""
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False)
    origin: str = ""

    @property
    def secrets(self) -> Mapping[str, str]:
        """The revisions of all secrets that its instances use."""
        return {name: at for item in self.desired.instances.values() for name, at in item.app.secret_revisions.items()}

    def goes_back_from(self, before: Share) -> bool:
        return self.origin == before.origin and self.revision < before.revision

    def costs(self, before: Share, present: Collection[str]) -> bool:
        """Whether to obey it takes away a copy (`present` are the instances that have one here), or an instance's placement
        is an older one than before."""
        new, old = self.desired, before.desired
        gone = any(name not in new.instances and not new.is_unclear(name) for name in {*present, *old.instances, *old.kept})
        both = new.instances.keys() & old.instances.keys()
        return gone or any(new.instances[name].generation < old.instances[name].generation for name in both)


def read_share(answer: Mapping[str, Any]) -> Share:
    """From the answer to `GET /apps?nodeName=`. Raises ValueError, TypeError or KeyError when it is not one.

    An app that this agent cannot understand, such as one with a field that only a newer agent knows, is left alone.
    """
    instances, unreadable, faults = {}, set(), []
    complete = True
    for entry in answer["apps"]:
        name = str(entry["name"])
        try:
            if not NAME.fullmatch(name):
                complete = False
            instance = read_instance(entry)
            if missing := lacking(instance.app):
                raise BadInput(Fault("secrets", not_set(missing)))
            instances[instance.name] = instance
        except BadInput as bad:
            unreadable.add(name)
            faults.append(f"{name}: {bad}; left unchanged")
    kept = frozenset(str(name) for name in answer["kept"])
    wanted = {name: instance for name, instance in instances.items() if app_of(name) not in unreadable}
    desired = Desired(wanted, frozenset(unreadable), complete, kept - wanted.keys())
    origin = str(answer.get("origin", ""))
    return Share(int(answer["revision"]), desired, tuple(faults), int(answer.get("asked", 0)), answer, origin)


def read_instance(entry: Mapping[str, Any]) -> Instance:
    """From one entry of that answer: the fields of the app beside `slot`, `node`, `generation` and what else the server
    tells of it. Raises BadInput, ValueError or TypeError."""
    told = {key: value for key, value in entry.items() if key not in TOLD}
    slot, node, generation, ended = (
        entry.get("slot", 1),
        entry.get("node", ""),
        entry.get("generation", 0),
        entry.get("ended", ""),
    )
    app = parse_app({**told, "node": node, "generation": generation, "ended": ended}, placed=True)
    bare = replace(app, node=(), generation=(), ended=())
    bound, data = str(entry.get("bound", "")), str(entry.get("data", ""))
    image = told_from_json(entry["runs"]) if "runs" in entry else None
    return Instance(bare, int(slot), str(node), int(generation), str(ended), bound=bound, data=data, image=image)
