"""What a node is and has left: its engine, disk, memory and load, read from what one command on it prints. Pure.

What a node does not say is None and never a failure: facts are there to be looked at, and nothing is decided by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional, TypeVar

from duckconf.command import Command
from duckconf.engine import DOCKER

KIB = 1024
SECONDS = 10.0
UNITS = "BKMGTPE"
# Both engines know `info`, and name what is asked for differently; the root is where images and containers lie.
FORMATS = {DOCKER: "{{.ServerVersion}} {{.DockerRootDir}}"}
FORMAT = "{{.Version.Version}} {{.Store.GraphRoot}}"
# One word first on each line says what the line is. The engine's root may lie where this login sees nothing, or on
# another machine's disk; then the disk of / is what there is to know.
ASK = """\
info=$(docker info --format "$1" 2>/dev/null) || info=
printf 'engine %s\\n' "$info"
printf 'cores %s\\n' "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
printf 'load %s\\n' "$(cat /proc/loadavg 2>/dev/null)"
sed -n 's/^\\(MemTotal\\|MemAvailable\\): */\\1 /p' /proc/meminfo 2>/dev/null
root=${info#* }
disk=$(df -Pk -- "${root:-/}" 2>/dev/null) || disk=$(df -Pk / 2>/dev/null)
printf 'disk %s\\n' "$(printf '%s\\n' "$disk" | tail -n 1)\""""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Facts:
    """Sizes are in bytes; `load` is the mean of the last minute."""

    engine: Optional[str] = None
    engine_version: Optional[str] = None
    disk_free: Optional[int] = None
    disk_total: Optional[int] = None
    memory_free: Optional[int] = None
    memory_total: Optional[int] = None
    load: Optional[float] = None
    cores: Optional[int] = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def facts_from_json(data: Mapping[str, Any]) -> Facts:
    """What `to_json` made; raises ValueError for a value that no fact has."""
    told = {name: data[name] for name in _KINDS if data.get(name) is not None}
    for name, value in told.items():
        if isinstance(value, bool) or not isinstance(value, _KINDS[name]):
            raise ValueError(f"{name} should be {_KINDS[name][-1].__name__}, got {value!r}")
    return Facts(**told)


_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("engine", "engine_version"), (str,)),
    **dict.fromkeys(("disk_free", "disk_total", "memory_free", "memory_total", "cores"), (int,)),
    "load": (int, float),
}


def ask(engine: str) -> Command:
    """A constant script, for any login that may use `docker`."""
    return Command(("sh", "-c", ASK, "sh", FORMATS.get(engine, FORMAT)), deadline=SECONDS)


def read_facts(engine: str, output: str) -> Facts:
    """From what `ask` printed, whatever that is."""
    said: dict[str, list[str]] = {}
    for line in output.splitlines():
        word, *rest = line.split() or [""]
        said.setdefault(word, rest)
    version = next(iter(said.get("engine", [])), None)
    # df -P: device, blocks, used, available, capacity, mount point; a device's name may have blanks in it.
    disk = said.get("disk", [])
    percent = next((place for place, word in enumerate(disk) if word.endswith("%")), 0)
    sizes = disk[percent - 3 : percent] if percent >= 3 else []
    return Facts(
        engine=engine if version else None,
        engine_version=version,
        disk_total=_number(sizes, 0, int, KIB),
        disk_free=_number(sizes, 2, int, KIB),
        memory_total=_number(said.get("MemTotal", []), 0, int, KIB),
        memory_free=_number(said.get("MemAvailable", []), 0, int, KIB),
        load=_number(said.get("load", []), 0, float, 1.0),
        cores=_number(said.get("cores", []), 0, int, 1),
    )


def short(facts: Mapping[str, Any]) -> dict[str, str]:
    """As the columns of a table have it."""
    load = facts["load"]
    return {
        "engine": f"{facts['engine']} {facts['engine_version']}" if facts["engine"] else "",
        "disk": _left(facts["disk_free"], facts["disk_total"]),
        "mem": _left(facts["memory_free"], facts["memory_total"]),
        "load": "" if load is None else f"{load:.1f}" + (f"/{facts['cores']}" if facts["cores"] else ""),
    }


def size(count: float) -> str:
    """In the largest unit of which there is at least one: 830M, 1.5G, 12G."""
    place = 0
    while count >= KIB and place < len(UNITS) - 1:
        count, place = count / KIB, place + 1
    return f"{count:.1f}{UNITS[place]}" if count < 10 and place else f"{count:.0f}{UNITS[place]}"


def _left(free: int | None, total: int | None) -> str:
    if free is None:
        return ""
    return f"{size(free)} free" + (f" ({100 * free // total}%)" if total else "")


def _number(words: list[str], place: int, kind: Callable[[str], Number], unit: Number) -> Number | None:
    try:
        value = kind(words[place])
    except (IndexError, ValueError):
        return None
    return value * unit if math.isfinite(value) and value >= 0 else None
