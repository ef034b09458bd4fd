"""The tasks that start, stop and change apps.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

import functools
from typing import Any

from duckconf.cli.apps.letters import DockersLetters
from duckconf.cli.apps.request import HELP, OF_SERVICE, REPEATED, app_edit, app_request, takes_fields
from duckconf.cli.terminal.edge import command, project
from duckconf.errors import BadInput, Fault

DRY_RUN = "show what would change and each step that would follow, with its reason; nothing is declared or started"


@command(
    klass=DockersLetters,
    positional=["image"],
    iterable=REPEATED,
    help={
        **HELP,
        "image": "what to run, such as nginx or localhost/duckconf/web",
        "push": "first copy the image from this machine's engine to the nodes that lack it",
        "wait": "return when each instance has run for one second, or when a job is over; if one fails before, fail and say how",
        "dry_run": DRY_RUN,
        "json": "print JSON",
    },
)
@takes_fields
def start_app(
    _: Any, image: str, push: bool = False, wait: bool = False, dry_run: bool = False, json: bool = False, **fields: Any
) -> None:
    """Start an app (push), or declare it (reconcile, agents). Example: ./inv start-app nginx --port 8081:80 --env MODE=fast"""
    from duckconf.cli.apps import change

    if dry_run:
        from duckconf.cli.apps import dry_run as dry

        dry.start(project(), app_request(image, fields), as_json=json)
        return
    change.start_app(project(), app_request(image, fields), push=push, wait=wait, as_json=json)


@command(
    positional=["image"],
    help={
        "image": "an image of this machine's podman or docker",
        "to": "only these nodes: names, groups, globs, !exceptions, separated by commas",
        "json": "print JSON",
    },
)
def push_image(_: Any, image: str, to: str = "", json: bool = False) -> int:
    """Copy an image from this machine to the nodes that lack it. After an interruption, the same command resumes the copy.
    Exit code 4 if a node did not get it. Example: ./inv push-image localhost/duckconf/web --to node-1,node-2"""
    from duckconf.cli.fleet.push_image import push_image as push

    return push(project(), image, to, as_json=json)


@command(help={"name": "the app, as `ps` shows it"})
def stop_app(_: Any, name: str) -> None:
    """Stop an app and remove its container (push), or withdraw the app (reconcile, agents). Example: ./inv stop-app app-1"""
    from duckconf.cli.apps import change

    change.stop_app(project(), name)


@command()
def confirm_edit(_: Any) -> None:
    """Confirm an edit of the desired state that withdraws most apps and waits. Example: ./inv confirm-edit"""
    from duckconf.cli.apps.confirm import confirm_edit as confirm

    confirm(project())


@command(
    positional=["action"],
    help={
        "action": "set NAME, list, or remove NAME; without --from-file and --from-vault, set reads the value from stdin",
        "from_file": "set: read the value from this file",
        "from_vault": "set: take the value of this variable of the inventory, best one in a vault",
        "json": "list: print JSON",
    },
)
def secret(_: Any, action: str, from_file: str = "", from_vault: str = "", json: bool = False) -> None:
    """Set, list or remove the secrets that apps use (reconcile, agents). Example: ./inv secret set db --from-file db.key"""
    from duckconf.cli.apps import secrets

    secrets.secret(project(), action, from_file, from_vault, as_json=json)


@command(
    klass=DockersLetters,
    positional=["name"],
    iterable=[*REPEATED, "env_rm", "unset"],
    help={
        **HELP,
        "name": "the app, as `apps` shows it",
        "image": "the new image",
        "env_rm": "take this variable away; may be repeated",
        "unset": "take away FIELD, or FIELD.KEY of a mapping, such as memory or labels.team; may be repeated",
        "wait": "follow the update to its end; exit code 1 when it failed and the last good revision serves again",
        "dry_run": DRY_RUN,
        "json": "print JSON",
    },
)
@functools.partial(takes_fields, without={"name"})
def update(
    _: Any,
    name: str,
    image: str = "",
    env_rm: Any = None,
    unset: Any = None,
    wait: bool = False,
    dry_run: bool = False,
    json: bool = False,
    **fields: Any,
) -> None:
    """Change an app; its instances are replaced step by step, and a failing revision is taken back (reconcile, agents).
    --env and other mappings change the keys that are typed; a list, such as --port, replaces the one before. After a failed
    update this builds on the revision that serves. Example: ./inv update web --image nginx:1.26 --env-rm DEBUG --wait"""
    from duckconf.cli.apps.update import update as change

    change(project(), name, app_edit(image, fields, unset or (), env_rm or ()), wait=wait, dry_run=dry_run, as_json=json)


@command(
    positional=["name"],
    help={
        "name": "the app, as `apps` shows it",
        "to": "the number of a revision, as `history` shows it; by default the last that served",
        "wait": "follow the update to its end",
        "json": "print JSON",
    },
)
def rollback(_: Any, name: str, to: int = 0, wait: bool = False, json: bool = False) -> None:
    """Run an earlier revision of an app again (reconcile, agents). Example: ./inv rollback web --to 3 --wait"""
    from duckconf.cli.apps.update import rollback as go_back

    go_back(project(), name, to, wait=wait, as_json=json)


@command(positional=["name"], help={"name": "the app, as `apps` shows it", "json": "print JSON"})
def history(_: Any, name: str, json: bool = False) -> None:
    """Show the revisions of an app, what each changed, and which one runs (reconcile, agents). Example: ./inv history web"""
    from duckconf.cli.apps.history import history as show

    show(project(), name, as_json=json)


@command(help={"name": "the app, as `apps` shows it"})
def pause(_: Any, name: str) -> None:
    """Let an app's update rest: no instance is replaced (reconcile, agents). Example: ./inv pause web"""
    from duckconf.cli.apps.update import pause as rest

    rest(project(), name, paused=True)


@command(help={"name": "the app, as `apps` shows it"})
def resume(_: Any, name: str) -> None:
    """Go on with an update that was paused (reconcile, agents). Example: ./inv resume web"""
    from duckconf.cli.apps.update import pause as rest

    rest(project(), name, paused=False)


@command(help={"name": "the app, as `ps` shows it"})
def redeploy(_: Any, name: str) -> None:
    """Replace an app's container by one from the current image of its tag (reconcile, agents). Example: ./inv redeploy web"""
    from duckconf.cli.apps.redeploy import redeploy as start_anew

    start_anew(project(), name)


@command(
    positional=["name"],
    help={
        "name": "the instance, as `ps` shows it: db, or db.2",
        "to": "the node; by default placement chooses one",
        "accept_data_loss": "the instance starts without the data that it has on its node",
    },
)
def move(_: Any, name: str, to: str = "", accept_data_loss: bool = False) -> None:
    """Start an instance on another node without its data, which stays where it is. Example: ./inv move db --accept-data-loss"""
    from duckconf.cli.apps.move import move as move_instance

    move_instance(project(), name, to, accepted=accept_data_loss)


@command(help={"name": "the app, as `ps` shows it"})
def kill_app(_: Any, name: str) -> None:
    """Kill the process of an app on purpose, to see what heals it. Example: ./inv kill-app app-1"""
    from duckconf.cli.apps import change

    change.kill_app(project(), name)


@command(
    positional=["apps"],
    help={
        "apps": "APP=N: how many instances of the app run; several may be given",
        "wait": "return when all instances run",
        "dry_run": DRY_RUN,
        "json": "with --dry-run: print JSON",
    },
)
def scale(_: Any, apps: str, wait: bool = False, dry_run: bool = False, json: bool = False) -> None:
    """Change how many instances of an app run (reconcile, agents). Example: ./inv scale web=5 db=2 --wait"""
    from duckconf.cli.apps import dry_run as dry
    from duckconf.cli.apps.scale import scale as change_replicas
    from duckconf.cli.apps.scale import wanted_replicas

    if dry_run:
        dry.scale(project(), wanted_replicas(apps), as_json=json)
        return
    if json:
        raise BadInput(Fault("--json", "goes with --dry-run; to see the app as JSON: ./inv apps --json"))
    change_replicas(project(), apps, wait=wait)


@command(
    klass=DockersLetters,
    positional=["image"],
    iterable=[name for name in REPEATED if name not in OF_SERVICE],
    help={
        **{name: text for name, text in HELP.items() if name not in OF_SERVICE},
        "image": "what to run, such as busybox",
        "on": "on one of these nodes: names, groups, globs, !exceptions, separated by commas. Default: all that are not cordoned",
    },
)
@functools.partial(takes_fields, without=OF_SERVICE)
def run(_: Any, image: str, on: str = "", **fields: Any) -> int:
    """Run a command once on a node and show its output; its exit code is ours, and nothing is left of it. The command stands
    after --. As with docker, an image that has an entrypoint gets it as arguments; --entrypoint replaces that. Interrupted,
    the exit code is never 0. Example: ./inv run busybox --on node-2 -- ls -l /"""
    from duckconf.cli.apps.run import run as run_once

    return run_once(project(), app_request(image, fields), on)
