"""One node's share of the desired state, as the api-server tells it to the node's agent. Pure.

The server's revisions only grow, and so do the generations of an app's placements: what is older never wins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from duckconf.desired import UNKNOWN, Desired
from duckconf.errors import BadInput
from duckconf.model import NAME, parse_app

NEVER = -1


@dataclass(frozen=True)
class Share:
    """What this node should run. `revision` is NEVER when it was never told; `answer` is what it was read from."""

    revision: int = NEVER
    desired: Desired = UNKNOWN
    faults: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def goes_back_from(self, before: Share) -> bool:
        return self.revision < before.revision

    def costs(self, before: Share, present: Collection[str]) -> bool:
        """Whether to obey it takes away a copy (`present` are the apps that have one here), or an app's placement is
        an older one than before."""
        new, old = self.desired, before.desired
        named = new.apps.keys() | new.kept | new.unreadable
        gone = {*present, *old.apps, *old.kept} - named if new.complete else set()
        older = any(app.generation < old.apps[name].generation for name, app in new.apps.items() if name in old.apps)
        return bool(gone) or older


def read_share(answer: Mapping[str, Any]) -> Share:
    """From the answer to `GET /apps?nodeName=`. Raises ValueError, TypeError or KeyError when it is not one.

    An app that this agent cannot understand, such as one with a field that only a newer agent knows, is left alone.
    """
    apps, unreadable, faults = {}, set(), []
    complete = True
    for entry in answer["apps"]:
        name = str(entry["name"])
        try:
            if not NAME.fullmatch(name):
                complete = False
            apps[name] = parse_app({key: value for key, value in entry.items() if key != "revision"}, placed=True)
        except BadInput as bad:
            unreadable.add(name)
            faults.append(f"{name}: {bad}; left unchanged")
    kept = frozenset(str(name) for name in answer["kept"])
    desired = Desired(apps, frozenset(unreadable), complete, kept - apps.keys())
    return Share(int(answer["revision"]), desired, tuple(faults), answer)
