"""`--dry-run` of `start-app`, `update` and `scale`: what is declared now, what would be declared, and the steps that would follow
with their reasons. Nothing is written, and no node is changed.

The steps come from the decision of the loop, on what the nodes run now.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from duckconf.changes import Change, changes
from duckconf.cli.apps.declare import say_edit
from duckconf.cli.apps.scene import scene_of
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.look.notes import grouped
from duckconf.cli.look.picture import Scene
from duckconf.cli.look.steps import expected_lines, expected_rows, waits_rows
from duckconf.cli.look.trouble import say_faults, unreachable
from duckconf.cli.terminal.tables import print_json
from duckconf.edit import Edit, edited
from duckconf.errors import Conflict, NotFound
from duckconf.forecast import Forecast, forecast
from duckconf.model import App, parse_app
from duckconf.policies import policy_of
from duckconf.reach.inventory.project import Project
from duckconf.restart import ALWAYS
from duckconf.restart import policy_of as restart_policy_of
from duckconf.rollout import History, last_good, order_of
from duckconf.secrets import require_known
from duckconf.suggest import meant

Apps = Mapping[str, App]
Changing = Callable[[Scene, Apps], Apps]


def start(project: Project, body: Mapping[str, Any], *, as_json: bool) -> None:
    def new(scene: Scene, apps: Apps) -> Apps:
        app = parse_app(dict(body))
        name = app.name or f"app-{scene.document.next_number if scene.document else 1}"
        if name in apps:
            raise Conflict(f"an app {name!r} is declared already", f"to change it: ./inv update {name}")
        return {name: replace(app, name=name)}

    _show(project, (), new, as_json=as_json)


def update(project: Project, name: str, edit: Edit, *, as_json: bool) -> None:
    def changed(scene: Scene, apps: Apps) -> Apps:
        made = edited(_declared(apps, name), (scene.memory.history or {}).get(name, ()), edit)
        say_edit(name, made)
        return {name: made.app}

    _show(project, (name,), changed, as_json=as_json)


def scale(project: Project, wanted: Mapping[str, int], *, as_json: bool) -> None:
    def scaled(_: Scene, apps: Apps) -> Apps:
        return {name: replace(_declared(apps, name), replicas=number) for name, number in wanted.items()}

    _show(project, wanted, scaled, as_json=as_json)


def _declared(apps: Apps, name: str) -> App:
    if name not in apps:
        raise NotFound(f"no app {name!r} is declared{meant(name, apps)}", "see `./inv apps`")
    return apps[name]


def _show(project: Project, names: Collection[str], change: Changing, *, as_json: bool) -> None:
    if mode_of(project) == PUSH:
        raise NotFound("--dry-run needs a desired state, and push mode keeps none", "see ./inv up reconcile")
    with scene_of(project, names) as (scene, known):
        before = scene.document.apps() if scene.document is not None else {}
        wanted = change(scene, before)
        for app in wanted.values():
            require_known(app, known() if app.secrets else ())
        desired, lacking = scene.desired(wanted)
        expected = forecast(project.cluster, desired, scene.fleet, scene.memory, scene.now, wanted)
    apps = [_entry(before.get(name), app, scene, expected) for name, app in wanted.items()]
    faults = [*scene.faults, *lacking]
    if as_json:
        told = {"apps": apps, "steps": expected_rows(expected), "waits": waits_rows(expected), "notes": dict(expected.notes)}
        print_json(told | {"rollouts": dict(expected.rollouts), "goes_on": expected.goes_on, "faults": faults})
    else:
        _print(apps, expected)
        say_faults(faults)
    unreachable(scene.seen)


def _entry(before: App | None, app: App, scene: Scene, expected: Forecast) -> dict[str, Any]:
    past: History = (scene.memory.history or {}).get(app.name, ())
    future = expected.history.get(app.name, ())
    policy, (order, why) = policy_of(app.update_config, app.replicas), order_of(app)
    found = changes(before, app) if before is not None else []
    good = last_good(past)
    return {
        "app": app.name,
        "revision": {"before": past[-1].number if past else None, "after": future[-1].number if future else None},
        "new": before is None,
        "changes": [change._asdict() for change in found],
        "rolled_out": restart_policy_of(app).condition == ALWAYS,
        "update": {
            "order": order,
            "because": why,
            "parallelism": policy.parallelism,
            "delay": policy.delay,
            "monitor": policy.monitor,
            "failure_action": policy.failure_action,
            "back_to": good.number if good is not None else None,
        },
    }


def _print(apps: list[dict[str, Any]], expected: Forecast) -> None:
    for entry in apps:
        _print_app(entry)
    for line in expected_lines(expected):
        print(line)
    for names, note in grouped(expected.notes.items()):
        print(f"{names}: left unchanged, because: {note}")
    for app, note in expected.rollouts.items() if not expected.goes_on else ():
        print(f"{app}: {note}; then the update goes no further by itself")
    if not expected.rounds:
        print("no container would be started or removed", file=sys.stderr)
    print("nothing was changed (--dry-run)", file=sys.stderr)


def _print_app(entry: Mapping[str, Any]) -> None:
    before, after = entry["revision"]["before"], entry["revision"]["after"]
    revision = f"revision {before} → {after}" if before and before != after else f"revision {after}" if after else "a job"
    print(f"{entry['app']}: {'new' if entry['new'] else revision if entry['changes'] else 'declared so already'}")
    found = [Change(**change) for change in entry["changes"]]
    for change in found:
        print(f"  {change.field}: {_text(change.before)} → {_text(change.after)}{'' if change.replaces else OF_SERVICE}")
    if not (any(change.replaces for change in found) and entry["rolled_out"]):
        return
    rules = entry["update"]
    print(f"  {rules['order']}: {rules['because']}")
    back = f" to revision {rules['back_to']}" if rules["back_to"] and rules["failure_action"] == "rollback" else ""
    delay = f", {rules['delay']:g} s between two replacements" if rules["delay"] else ""
    print(
        f"  {rules['parallelism']} at once{delay}; an instance is ready when it is healthy, without a health check after "
        f"{rules['monitor']:g} s; on failure: {rules['failure_action']}{back}"
    )


OF_SERVICE = " (replaces no container)"


def _text(value: object) -> str:
    if value is None:
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
