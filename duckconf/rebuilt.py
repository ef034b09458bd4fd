"""Which apps run an older image than the one that their tag means now. Pure: what to ask a node, and how to read the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from duckconf.codec import from_label
from duckconf.command import Command, Completed
from duckconf.image import bare_id
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, LABEL_MANIFEST

ASK = """\
docker image inspect --format '{{.Id}}' "$2" || exit
docker ps -q --no-trunc --filter "label=$1" |
  xargs -r docker inspect --type=container --format '[{{json .Image}},{{json .Config.Image}},{{json .Config.Labels}}]'"""
DEFAULT_HOMES = ("docker.io/library/", "docker.io/")


def ask_for_old(cluster: str, image: str) -> Command:
    """The id of an image on a node, and what each running app of the cluster was started from."""
    return Command(("sh", "-c", ASK, "sh", f"{LABEL_CLUSTER}={cluster}", image))


def apps_on_old(image: str, told: Completed) -> list[str]:
    """The apps that were started from this name and run another image than it names now. What ended meanwhile is left out."""
    first, *lines = told.stdout.splitlines() or [""]
    return sorted(app for app, used in map(_app_of, lines) if app and used.get(_plain(image), bare_id(first)) != bare_id(first))


def _app_of(line: str) -> tuple[str, Mapping[str, str]]:
    """The app, and the id of its image under each name that the image goes by."""
    try:
        used, named, labels = json.loads(line)
        names = {str(named), _declared(labels.get(LABEL_MANIFEST, ""))}
        return str(labels.get(LABEL_APP, "")), {_plain(name): bare_id(used) for name in names}
    except (ValueError, TypeError, AttributeError):
        return "", {}


def _declared(label: str) -> str:
    try:
        spec: Any = from_label(label)
        return str(spec["image"])
    except (ValueError, TypeError, LookupError):
        return ""


def _plain(name: str) -> str:
    """Without the registry that goes without saying, with the tag that does."""
    for home in DEFAULT_HOMES:
        name = name.removeprefix(home)
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
