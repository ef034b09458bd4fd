"""Files into a container and out of it as a tar stream: what is typed, and the commands for its node. Pure.

As `docker cp`: into a folder that is there, a file or folder keeps its name; else it gets the name that is typed. `/.` at the end
of a folder means what is in it.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from duckconf.command import Command
from duckconf.engine import DOCKER
from duckconf.errors import BadInput, Fault

STREAM = "-"
# Docker copies a link as a link unless it is told otherwise, podman always copies what it leads to.
OUT = """\
follow=
docker cp --help 2>/dev/null | grep -q -e --follow-link && follow=-L
exec docker cp $follow "$1" -"""
# Prints something if it is a folder, or a link to one.
IS_FOLDER = 'docker cp "$1/." - 2>/dev/null | head -c 1 | wc -c'


class Place(NamedTuple):
    """A path in the container of `app`, or here where that is ""."""

    app: str
    path: str


class Copy(NamedTuple):
    source: Place
    target: Place


def parse_copy(source: str, target: str) -> Copy:
    """Raises BadInput."""
    copy = Copy(_place(source), _place(target))
    if bool(copy.source.app) == bool(copy.target.app):
        what = "one of the two" if copy.source.app else "the source or the target"
        raise BadInput(
            Fault("", f"{what} should be here and the other APP:PATH, such as web:/etc/nginx ./nginx; here is ./web:x")
        )
    for place in copy:
        if not place.path:
            raise BadInput(Fault(place.app, "a path should follow the colon, such as web:/etc/nginx"))
    return copy


def _place(typed: str) -> Place:
    app, colon, path = typed.partition(":")
    if not colon or not app or "/" in app or app.startswith("."):
        return Place("", typed)
    # Relative paths begin at the root, as with docker.
    return Place(app, posixpath.join("/", path) if path else "")


def take_out(container: str, path: str) -> Command:
    """A tar archive of the file or folder on stdout."""
    return Command(("sh", "-c", OUT, "sh", f"{container}:{path}"))


def is_folder(container: str, path: str) -> Command:
    """Prints 1 if it is one, else 0."""
    return Command(("sh", "-c", IS_FOLDER, "sh", f"{container}:{path.rstrip('/')}"))


def put_in(container: str, folder: str) -> Command:
    """What is in the tar archive on stdin, into a folder that is there."""
    return Command((DOCKER, "cp", "--archive=false", STREAM, f"{container}:{folder}"))


def named(path: str, target: str, *, folder_there: bool) -> tuple[str, str]:
    """The folder to copy into and the name there, of `path` that is copied to `target`."""
    if folder_there:
        return target, posixpath.basename(path.rstrip("/"))
    return posixpath.dirname(target.rstrip("/")) or "/", posixpath.basename(target.rstrip("/"))
