"""The field `secrets`: which secret of the cluster an app gets, and as which file or variable. Pure.

Kept as `NAME[:TARGET][,uid=N][,gid=N][,mode=OCTAL]` or `NAME:env=VARIABLE`; the Compose Spec's long form is taken too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duckconf.errors import Fault
from duckconf.kinds import Listed, Pairs, Word, text_of

FOLDER = "/run/secrets"
# As in the Compose Spec: everybody in the container may read it.
USUAL_MODE = 0o444
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
TARGET = re.compile(r"/?[\w.@+-]+(?:/[\w.@+-]+)*", re.ASCII)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NUMBER = re.compile(r"[0-9]{1,9}")
MODE = re.compile(r"0?[0-7]{3}")
FORM = "should be NAME, NAME:TARGET (a file name, or a path in the container) or NAME:env=VARIABLE"
MORE = "optionally with ,uid=N ,gid=N ,mode=0440"
KEYS = ("source", "target", "uid", "gid", "mode", "environment")


@dataclass(frozen=True)
class Use:
    """One secret of an app: a file at `path`, or the variable `variable`."""

    source: str
    path: str
    variable: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = USUAL_MODE


def read_use(text: str) -> Use:
    """Raises ValueError with what would be right."""
    first, *options = text.split(",")
    name, colon, target = first.partition(":")
    if not NAME.fullmatch(name):
        raise ValueError(f"{FORM}, {MORE}")
    if target.startswith("env="):
        if options or not VARIABLE.fullmatch(target[4:]):
            raise ValueError("should have a variable such as DB_PASSWORD after env=, and no options")
        return Use(name, "", target[4:])
    target = target if colon else name
    if not TARGET.fullmatch(target) or any(part in (".", "..") for part in target.split("/")):
        raise ValueError(f"{FORM}, {MORE}")
    path = target if target.startswith("/") else f"{FOLDER}/{target}"
    return Use(name, path, "", *_options(options))


def _options(options: list[str]) -> tuple[int, int, int]:
    found = {"uid": "0", "gid": "0", "mode": f"{USUAL_MODE:o}"}
    for key, _, value in (option.partition("=") for option in options):
        if key not in found or not (MODE if key == "mode" else NUMBER).fullmatch(value):
            raise ValueError(f"{FORM}, {MORE}")
        found[key] = value
    return int(found["uid"]), int(found["gid"]), int(found["mode"], 8)


def _word(value: object) -> str:
    text = _long(value) if isinstance(value, Mapping) else value
    if not isinstance(text, str):
        raise ValueError(f"{FORM}, {MORE}; or an object with source")
    read_use(text)
    return text


def _long(entry: Mapping[str, Any]) -> str:
    """The Compose Spec's long form, and `environment` with the name of a variable."""
    if unknown := [key for key in entry if key not in KEYS and not str(key).startswith("x-")]:
        raise ValueError(f"has {unknown[0]}, which is not supported here; known are {', '.join(KEYS)}")
    told = {key: text_of(value) for key, value in entry.items() if key in KEYS and key != "mode" and value is not None}
    source, target, variable = (told.get(key, "") for key in ("source", "target", "environment"))
    if not NAME.fullmatch(source):
        raise ValueError("should have source, the name of a secret")
    if variable and target:
        raise ValueError("should have target, for a file, or environment, for a variable")
    options = [f"{key}={told[key]}" for key in ("uid", "gid") if key in told]
    if (mode := entry.get("mode")) is not None:
        # JSON has no octal numbers: what YAML reads from 0440 is 288.
        options.append(f"mode={f'{mode:04o}' if isinstance(mode, int) else text_of(mode)}")
    place = f":env={variable}" if variable else f":{target}" if target else ""
    return ",".join([f"{source}{place}", *options])


def faults_in(values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the secrets of an app beside its other fields."""
    found: list[Fault] = []
    seen: set[str] = set()
    for index, use in enumerate(read_use(text) for text in values.get("secrets", ())):
        place = use.variable or use.path
        if place in seen or use.variable in values.get("env", {}):
            found.append(Fault(f"secrets/{index}", f"should have another target: {place} is given twice"))
        elif use.path and (reason := _hidden(use.path, values)):
            found.append(Fault(f"secrets/{index}", reason))
        seen.add(place)
    return found


def _hidden(path: str, values: Mapping[str, Any]) -> str:
    """Why a file cannot be put there; "" when it can."""
    in_folder = inside(path, FOLDER)
    for volume in values.get("volumes", ()):
        if inside(path, volume.split(":")[1]):
            return f"should have a target outside the volume {volume}, which would keep it"
    for mount in (text.split(":")[0] for text in values.get("tmpfs", ())):
        if inside(path, mount) and not (in_folder and mount != FOLDER and inside(FOLDER, mount)):
            return f"should have a target outside the tmpfs {mount}, which would hide it"
    if values.get("read_only") and not in_folder:
        return f"should have a target in {FOLDER}: with read_only, no other can be written"
    return ""


def needs_volume(read_only: bool, tmpfs: tuple[str, ...], uses: tuple[Use, ...]) -> bool:
    """Whether the folder of the secrets must be a volume of its own: a read-only container takes no files before its start
    (docker), and a tmpfs hides those that are there."""
    files = any(use.path for use in uses)
    return files and (read_only or any(inside(FOLDER, mount.split(":")[0]) for mount in tmpfs))


def inside(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


SECRETS_KIND = Listed(
    Word(
        _word,
        {
            "oneOf": [
                {"type": "string"},
                {"type": "object", "required": ["source"], "properties": {key: {"type": ["string", "integer"]} for key in KEYS}},
            ]
        },
        sense=lambda text: vars(read_use(text)),
    )
)
_REVISION = Word(text_of)
REVISIONS_KIND = Pairs(lambda name: "" if NAME.fullmatch(name) else "should be the name of a secret", _REVISION)
