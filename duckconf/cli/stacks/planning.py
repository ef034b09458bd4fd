"""What applying a stack would change, and whether each of its instances has a place: known before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from duckconf import secrets as decisions
from duckconf.changes import Change, changes
from duckconf.cli.apps.scene import scene_of
from duckconf.cli.cluster.modes import RECONCILE, mode_of
from duckconf.cli.look.picture import Scene
from duckconf.compose_file.beside import Carried
from duckconf.desired import UNKNOWN, Desired, changed, desired_of
from duckconf.errors import Conflict, DuckconfError
from duckconf.fit import misfit, shortage
from duckconf.fleet_seen import Fleet
from duckconf.forecast import Forecast, forecast
from duckconf.instance import Instance
from duckconf.local_data import Held, held_by, shown
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.secrets import FILE_NAME, SecretFile
from duckconf.stacks import of_stack, require_free
from duckconf.together import unit_of

# Of a secret that is not set yet.
NEW_REVISION = "0" * 16


@dataclass(frozen=True)
class Planned:
    """`before` are the apps that the stack has now, `known` the names of the secrets that there are, `changed_secrets` those
    whose value is another one, where that can be known."""

    before: Mapping[str, App]
    wanted: Mapping[str, App]
    known: frozenset[str]
    changed_secrets: tuple[str, ...]
    expected: Forecast
    faults: Sequence[str] = ()

    @property
    def new(self) -> list[str]:
        return [name for name in self.wanted if name not in self.before]

    @property
    def gone(self) -> list[str]:
        return [name for name in self.before if name not in self.wanted]

    @property
    def changes(self) -> dict[str, list[Change]]:
        """Of the apps that stay."""
        found = {name: changes(self.before[name], app) for name, app in self.wanted.items() if name in self.before}
        return {name: some for name, some in found.items() if some}

    @property
    def nothing(self) -> bool:
        return not (self.new or self.gone or self.changes or self.changed_secrets)


class NotPlaceable(DuckconfError):
    """An instance of the stack would have no place."""

    exit_code = 2


def plan_stack(project: Project, name: str, wanted: Mapping[str, App], carried: Collection[Carried]) -> Planned:
    """Raises Conflict where another app is in the way, NotPlaceable, and BadInput for a secret that is not set."""
    kept = SecretFile(project.state / FILE_NAME) if mode_of(project) == RECONCILE else None
    with scene_of(project, wanted) as (scene, names):
        declared = scene.document.apps() if scene.document is not None else {}
        before = of_stack(declared, name)
        apps = {key: replace(app, paused=key in before and before[key].paused) for key, app in wanted.items()}
        require_free(name, apps, declared)
        known = frozenset(names() if carried or any(app.secrets for app in apps.values()) else ())
        for app in apps.values():
            decisions.require_known(app, known | {one.name for one in carried})
        values = kept.current() if kept is not None else {}
        others = tuple(one.name for one in carried if one.name in values and values[one.name].value != one.content)
        _require_one_home(apps.values(), scene.memory.data or {})
        desired = _desired(scene, {**dict.fromkeys(before), **apps}, kept, [one.name for one in carried])
        expected = forecast(project.cluster, desired, scene.fleet, scene.memory, scene.now, {*before, *apps})
    planned = Planned(before, apps, known, others, expected, scene.faults)
    _require_places(planned)
    _require_size([apps[app] for app in planned.changes], scene.fleet)
    return planned


def _desired(scene: Scene, apps: Mapping[str, App | None], kept: SecretFile | None, carried: Collection[str]) -> Desired:
    if scene.document is None:
        return UNKNOWN
    desired = desired_of(changed(scene.document, apps))
    if kept is None:
        return desired
    # What is about to be set counts as set.
    return decisions.resolved(desired, {**dict.fromkeys(carried, NEW_REVISION), **kept.revisions()})[0]


def _require_one_home(wanted: Iterable[App], data: Mapping[str, Held]) -> None:
    """Raises Conflict where two that are to run on one node have their data on different ones."""
    bound = [(app, held) for app in wanted if unit_of(app) and (held := held_by(Instance(app), data)) is not None]
    for app, held in bound[1:]:
        first, there = bound[0]
        if held.node != there.node:
            where = f"{shown(held.sources)} on {held.node}, and {first.name} has {shown(there.sources)} on {there.node}"
            why = "services that find each other by name run on one node"
            remedy = f"./inv move {app.name} --to {there.node} --accept-data-loss, or keep them apart with network_mode: bridge"
            raise Conflict(f"{app.name}: has {where}; {why}", remedy)


def _require_size(changed: Collection[App], fleet: Fleet) -> None:
    """An instance that runs keeps its place, also where no node is large enough for what it asks now: it would not come back."""
    for app in changed:
        found = [misfit(app, facts) or shortage(app, facts, 0.0, 0) for facts in map(fleet.fact, fleet.nodes)]
        if found and (words := [one.counted for one in found if one]) and len(words) == len(found):
            raise NotPlaceable(f"{app.name}: no node for it: {len(words)} {words[0]}; nothing was changed", "see ./inv nodes")


def _require_places(planned: Planned) -> None:
    # One that waits for a place already, and is not changed, waits on.
    news = {*planned.new, *planned.changes}
    if unplaced := {name: why for name, why in planned.expected.unplaced.items() if app_of(name) in news}:
        words = "; ".join(f"{name}: {why}" for name, why in unplaced.items())
        raise NotPlaceable(f"{words}; nothing was changed", "see ./inv nodes")
