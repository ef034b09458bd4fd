"""`./inv apply`: a compose file becomes the apps of a stack. The plan is shown, then all of it is declared in one request."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from duckconf.by_revision import is_rolled_out
from duckconf.changes import Change
from duckconf.cli.apps.awaiting import await_instances, await_settled, is_all_there, where
from duckconf.cli.apps.secrets import put_secret, remove_secret, secret_names
from duckconf.cli.apps.update import follow
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.stacks.planning import Planned, plan_stack
from duckconf.cli.stacks.reading import Asked, Told, read_stack
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_json
from duckconf.codec import spec_hash, to_json
from duckconf.errors import Conflict, DuckconfError, NotFound
from duckconf.model import App
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of
from duckconf.reach.inventory.project import Project
from duckconf.secret_kinds import read_use
from duckconf.secrets import names_of

VARIABLE = "env."
SECRETS = "secrets"
HIDDEN = "(not shown)"


def apply(project: Project, asked: Asked, *, dry_run: bool, wait: bool, as_json: bool) -> None:
    """Raises BadInput for what cannot be declared, before anything is done, and DuckconfError when `wait` sees it fail."""
    require_state(project)
    told = read_stack(asked, os.environ)
    planned = _planned(project, told)
    if not as_json:
        say_plan(told.stack.name, planned)
    if dry_run:
        print("nothing was changed (--dry-run)", file=sys.stderr)
    else:
        _carry_out(project, told, planned, wait=wait)
    if as_json:
        print_json(as_data(told.stack.name, planned))
    elif not (dry_run or wait or planned.nothing):
        print(f"the stack {told.stack.name} is declared: ./inv stacks, ./inv ps")


def _carry_out(project: Project, told: Told, planned: Planned, *, wait: bool) -> None:
    api = api_client(project)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    if planned.nothing:
        _set_secrets(project, told, planned)
    else:
        _declare(project, api, told, planned)
    if wait:
        _await(project, api, planned, cursor)


def require_state(project: Project) -> None:
    """Raises NotFound in push mode."""
    if mode_of(project) == PUSH:
        raise NotFound("push mode keeps no state, and so no stacks", "they need mode reconcile or agents: ./inv up reconcile")


def _planned(project: Project, told: Told) -> Planned:
    """What is in the way has the line of the service that wants it."""
    try:
        return plan_stack(project, told.stack.name, told.translated.apps, told.translated.carried)
    except Conflict as conflict:
        places = {told.stack.app(name): node.place for name, node in told.stack.services.items()}
        app = next((app for app in places if conflict.message.startswith(f"{app}: ")), "")
        where = told.shown(f"{places[app]}: ") if app else ""
        raise Conflict(f"{where}{conflict.message}; nothing was changed", conflict.remedy) from None


def say_plan(stack: str, planned: Planned) -> None:
    """The plan in lines: what is new, changed field by field, and gone."""
    for name in planned.new:
        print(f"{name}: new ({planned.wanted[name].image})")
    for name, some in planned.changes.items():
        print(f"{name}: changed")
        for change in some:
            kept = "" if change.replaces else " (replaces no container)"
            for line in _files(change) if change.field == SECRETS else [f"{change.field}: {_words(change)}"]:
                print(f"  {line}{kept}")
    for name in planned.changed_secrets:
        print(f"the secret {name}: another value")
    for name in planned.gone:
        print(f"{name}: gone from the file, withdrawn")
    if planned.nothing:
        print(f"the stack {stack} is declared so already", file=sys.stderr)


def as_data(stack: str, planned: Planned) -> dict[str, Any]:
    changed = {name: [_hidden(change)._asdict() for change in some] for name, some in planned.changes.items()}
    secrets = list(planned.changed_secrets)
    return {"stack": stack, "new": planned.new, "changed": changed, "gone": planned.gone, "secrets": secrets}


def _words(change: Change) -> str:
    """The value of a variable is not shown: many compose files have passwords there."""
    if change.field.startswith(VARIABLE):
        return "added" if change.before is None else "removed" if change.after is None else "another value"
    before, after = ("-" if value is None else str(value) for value in (change.before, change.after))
    return f"{before} → {after}"


def _files(change: Change) -> Iterator[str]:
    """What an app is given as a file or a variable, by where it finds it: the names that contents have are for no person."""
    before, after = _by_place(change.before), _by_place(change.after)
    for place in dict.fromkeys([*before, *after]):
        if before.get(place) != after.get(place):
            word = "added" if place not in before else "removed" if place not in after else "another content, or owner and mode"
            yield f"{place}: {word}"


def _by_place(uses: Sequence[str] | None) -> dict[str, str]:
    return {use.path or use.variable: text for text in uses or () for use in [read_use(text)]}


def _hidden(change: Change) -> Change:
    if not change.field.startswith(VARIABLE):
        return change
    before, after = (None if value is None else HIDDEN for value in (change.before, change.after))
    return change._replace(before=before, after=after)


def _declare(project: Project, api: ApiClient, told: Told, planned: Planned) -> None:
    """New files and secrets come first, and go again where the stack is refused; a new value of a secret comes last, so that an
    app that also changes is updated once."""
    fresh = [one for one in told.translated.carried if one.name not in planned.known]
    for one in fresh:
        put_secret(project, one.name, one.content)
    bodies = {name: to_json(app) for name, app in planned.wanted.items()}
    try:
        api.call("PUT", f"/stacks/{told.stack.name}", {"apps": bodies})
    except DuckconfError:
        for one in fresh:
            remove_secret(project, one.name)
        raise
    _set_secrets(project, told, planned)
    forget_unused(project, api, told.stack.name, planned.wanted)


def _set_secrets(project: Project, told: Told, planned: Planned) -> None:
    """Those that are there already; the same value changes nothing."""
    for one in told.translated.carried:
        if one.secret and one.name in planned.known and put_secret(project, one.name, one.content).changed:
            print(f"the secret {one.name} has another value now", file=sys.stderr)


def forget_unused(project: Project, api: ApiClient, stack: str, apps: Mapping[str, App]) -> None:
    """What earlier files of the stack carried. What a revision needs that may come back stays."""
    used = {name for app in apps.values() for name in names_of(app)} | {name for app in apps for name in _needed(api, app)}
    for name in secret_names(project):
        if name.startswith(f"{stack}.") and name not in used:
            remove_secret(project, name)


def _needed(api: ApiClient, app: str) -> list[str]:
    try:
        told = api.call("GET", path_of("app", app, "history"))["revisions"]
    except ApiRefused:
        return []
    return [word.split(",")[0].split(":")[0] for item in told for word in item["app"].get("secrets", ())]


def _await(project: Project, api: ApiClient, planned: Planned, cursor: str) -> None:
    """What another service waits for comes first, so that it is told at once what keeps all of them."""
    for name in in_order(planned.wanted):
        app = planned.wanted[name]
        if name in planned.before and spec_hash(planned.before[name]) != spec_hash(app) and is_rolled_out(app):
            follow(api, name, cursor)
            continue
        fresh = name not in planned.before or any(change.replaces for change in planned.changes.get(name, ()))
        if not fresh and is_all_there(api.call("GET", path_of("app", name))):
            continue
        say(f"waiting for {name} …")
        entry = await_instances(api, name, cursor, starts=fresh and app.replicas != 0)
        with open_cluster(project) as cluster:
            await_settled(cluster, entry)
        say(where(entry))


def in_order(apps: Mapping[str, App]) -> list[str]:
    """Each after those that it waits for. Two that wait for each other were refused when the file was read."""
    needed = {name: [other for other in app.depends_on if other in apps] for name, app in apps.items()}
    return list(TopologicalSorter(needed).static_order())
