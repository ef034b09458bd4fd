"""The tasks that start, stop and change apps.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

from typing import Any

from duckconf.cli.apps.request import HELP, REPEATED, app_request, takes_fields
from duckconf.cli.terminal.edge import command, project


@command(
    positional=["image"],
    iterable=REPEATED,
    help={
        **HELP,
        "image": "what to run, such as nginx or localhost/duckconf/web",
        "push": "first bring the image from this machine's engine to the nodes that lack it",
        "wait": "return when it has stayed up for a second, fail with its last words when it has not",
        "json": "for programs",
    },
)
@takes_fields
def start_app(_: Any, image: str, push: bool = False, wait: bool = False, json: bool = False, **fields: Any) -> None:
    """Start an app, or declare it where a loop does that. Example: ./inv start-app nginx --port 8081:80 --env MODE=fast"""
    from duckconf.cli.apps import change

    change.start_app(project(), app_request(image, fields), push=push, wait=wait, as_json=json)


@command(
    positional=["image"],
    help={
        "image": "as this machine's podman or docker has it",
        "to": "only to these nodes: names, groups, globs, !exceptions, with commas",
        "json": "for programs",
    },
)
def push_image(_: Any, image: str, to: str = "", json: bool = False) -> int:
    """Bring an image from this machine to the nodes that lack it; again after an interruption, it goes on where it was.
    Exit code 4 when a node does not get it. Example: ./inv push-image localhost/duckconf/web --to node-1,node-2"""
    from duckconf.cli.fleet.push_image import push_image as push

    return push(project(), image, to, as_json=json)


@command(help={"name": "the app, as `ps` shows it"})
def stop_app(_: Any, name: str) -> None:
    """Stop an app and remove its container, or withdraw it. Example: ./inv stop-app app-1"""
    from duckconf.cli.apps import change

    change.stop_app(project(), name)


@command()
def confirm_edit(_: Any) -> None:
    """Confirm an edit of the desired state that withdraws most apps and waits. Example: ./inv confirm-edit"""
    from duckconf.cli.apps.confirm import confirm_edit as confirm

    confirm(project())


@command(help={"name": "the app, as `ps` shows it"})
def redeploy(_: Any, name: str) -> None:
    """Start an app anew from the image that its tag means now (reconcile, agents). Example: ./inv redeploy web"""
    from duckconf.cli.apps.redeploy import redeploy as start_anew

    start_anew(project(), name)


@command(help={"name": "the app, as `ps` shows it"})
def kill_app(_: Any, name: str) -> None:
    """Crash an app on purpose: its process is killed, nothing else. Example: ./inv kill-app app-1"""
    from duckconf.cli.apps import change

    change.kill_app(project(), name)
