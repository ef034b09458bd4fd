"""What a node is and has left: its engine, disk, memory and load, read from what one command on it prints. Pure.

What a node does not say is None and never a failure: a fact that is unknown excludes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional, TypeVar

from duckconf.architecture import architecture
from duckconf.command import Command, Completed
from duckconf.engine import DOCKER, PODMAN

KIB = 1024
SECONDS = 10.0
UNITS = "BKMGTPE"
# Both engines know `info` and `version`, and name what is asked for differently; the root is where images and containers
# lie. For `info` podman asks the package manager about each of its helpers, a quarter of a second of work, and its service
# does so for `version`, too: as long as the engine has the same version, its root is where it was. For podman that is what
# `--version` says, which asks no engine; `ps` then shows that there is one.
INFO = {DOCKER: "{{.ServerVersion}} {{.DockerRootDir}}", PODMAN: "{{.Version.Version}} {{.Store.GraphRoot}}"}
VERSION = {DOCKER: "{{.Server.Version}}", PODMAN: ""}
# One word first on each line says what the line is, up to what `df` says. As much as can be is done by the shell itself:
# a hundred nodes may be asked at once. The engine's root may lie where this login sees nothing, or on another machine's
# disk; then the disk of / is what there is to know.
MACHINE = """\
{
  echo "architecture $(uname -m)"
  read -r boot </proc/sys/kernel/random/boot_id && echo "machine $boot $(readlink /proc/self/ns/pid)"
  read -r name <"${DUCKCONF_NODE_FILE:-/etc/duckconf/node}" && echo "node $name"
  read -r cores </sys/devices/system/cpu/online && echo "cores $cores"
  read -r load </proc/loadavg && echo "load $load"
  while read -r name value; do
    case $name in
      (MemTotal:) echo "MemTotal $value" ;;
      (MemAvailable:) echo "MemAvailable $value" && break ;;
    esac
  done </proc/meminfo
} 2>/dev/null
"""
ASK = f"""\
has_version() {{
  if [ -n "$1" ]; then
    [ "$(docker version --format "$1" 2>/dev/null)" = "$2" ]
  else
    [ "$(docker --version 2>/dev/null)" = "podman version $2" ] && docker ps -q >/dev/null 2>&1
  fi
}}
info=
[ -z "$3" ] || ! has_version "$2" "${{3%% *}}" || info=$3
[ -n "$info" ] || info=$(docker info --format "$1" 2>/dev/null) || info=
printf 'engine %s\\n' "$info"
{MACHINE}\
echo disk
root=${{info#* }}
df -Pk -- "${{root:-/}}" 2>/dev/null || df -Pk / 2>/dev/null || :"""
FACTS_FOLLOW = "\nfacts\n"
# Another command runs meanwhile; its code is the code of both.
ASK_BESIDE = """\
(shift 3 && exec "$@") &
said=$(
{ask}
)
wait "$!"
code=$?
printf '\\nfacts\\n%s\\n' "$said"
exit "$code\""""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Facts:
    """Sizes are in bytes; `load` is the mean of the last minute. `architecture` is in the words of images (amd64, arm64).

    `machine` is the same for two logins if and only if they lead to one machine, or one container that behaves as one: a
    machine-id is not, since machines and images are cloned. `node_name` is the name that the role gave to the machine. Below
    `engine_root` lie the engine's images and containers.
    """

    engine: Optional[str] = None
    engine_version: Optional[str] = None
    disk_free: Optional[int] = None
    disk_total: Optional[int] = None
    memory_free: Optional[int] = None
    memory_total: Optional[int] = None
    load: Optional[float] = None
    cores: Optional[int] = None
    architecture: Optional[str] = None
    machine: Optional[str] = None
    node_name: Optional[str] = None
    engine_root: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


UNKNOWN = Facts()


def facts_from_json(data: Mapping[str, Any]) -> Facts:
    """What `to_json` made; raises ValueError for a value that no fact has."""
    told = {name: data[name] for name in _KINDS if data.get(name) is not None}
    for name, value in told.items():
        if isinstance(value, bool) or not isinstance(value, _KINDS[name]):
            raise ValueError(f"{name} should be {_KINDS[name][-1].__name__}, got {value!r}")
    return Facts(**told)


_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("engine", "engine_version", "engine_root", "architecture", "machine", "node_name"), (str,)),
    **dict.fromkeys(("disk_free", "disk_total", "memory_free", "memory_total", "cores"), (int,)),
    "load": (int, float),
}


def ask(engine: str, before: Facts = UNKNOWN) -> Command:
    """A constant script, for any login that may use `docker`; `before` is what it answered last."""
    return Command(("sh", "-c", ASK, "sh", *_of_engine(engine, before)), deadline=SECONDS)


def ask_machine() -> Command:
    """Only what the kernel knows, without the engine and the disk: cheap enough to be asked on each connection."""
    return Command(("sh", "-c", MACHINE), deadline=SECONDS)


def ask_beside(command: Command, engine: str, *, machine_only: bool = False) -> Command:
    """The same in one go with another command, which reads nothing; `split` takes the answers apart."""
    script = ASK_BESIDE.format(ask=MACHINE if machine_only else ASK)
    return Command(("sh", "-c", script, "sh", *_of_engine(engine, UNKNOWN), *command.argv), deadline=SECONDS)


def _of_engine(engine: str, before: Facts) -> tuple[str, str, str]:
    """The formats of `info` and `version`, the latter "" for podman, and what `info` said last."""
    kind = engine if engine in INFO else PODMAN
    known = f"{before.engine_version} {before.engine_root}" if before.engine_version and before.engine_root else ""
    return INFO[kind], VERSION[kind], known


def split(engine: str, done: Completed) -> tuple[Completed, Facts]:
    """What the command of `ask_beside` answered, and the facts."""
    said, mark, known = done.stdout.rpartition(FACTS_FOLLOW)
    return (replace(done, stdout=said), read_facts(engine, known)) if mark else (done, Facts())


def read_facts(engine: str, output: str) -> Facts:
    """From what `ask` printed, whatever that is."""
    said: dict[str, list[str]] = {}
    before, _, table = output.partition("\ndisk\n")
    for line in before.splitlines():
        word, *rest = line.split() or [""]
        said.setdefault(word, rest)
    version, root = next(iter(said.get("engine", [])), None), said.get("engine", [])[1:]
    # df -P: device, blocks, used, available, capacity, mount point; a device's name may have blanks in it.
    disk = next((line.split() for line in reversed(table.splitlines())), [])
    percent = next((place for place, word in enumerate(disk) if word.endswith("%")), 0)
    sizes = disk[percent - 3 : percent] if percent >= 3 else []
    return Facts(
        engine=engine if version else None,
        engine_version=version,
        engine_root=" ".join(root) or None,
        disk_total=_number(sizes, 0, int, KIB),
        disk_free=_number(sizes, 2, int, KIB),
        memory_total=_number(said.get("MemTotal", []), 0, int, KIB),
        memory_free=_number(said.get("MemAvailable", []), 0, int, KIB),
        load=_number(said.get("load", []), 0, float, 1.0),
        cores=_count(said.get("cores", [])),
        architecture=architecture(next(iter(said.get("architecture", [])), "")) or None,
        machine=" ".join(said.get("machine", [])) or None,
        node_name=next(iter(said.get("node", [])), None),
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


def _count(words: list[str]) -> int | None:
    """How many numbers the first word names, as the kernel writes lists of them: 0-3,6 are five."""
    try:
        ranges = [[int(end) for end in part.split("-", 1)] for part in words[0].split(",")]
    except (IndexError, ValueError):
        return None
    return sum(max(0, ends[-1] - ends[0] + 1) for ends in ranges) or None


def _number(words: list[str], place: int, kind: Callable[[str], Number], unit: Number) -> Number | None:
    try:
        value = kind(words[place])
    except (IndexError, ValueError):
        return None
    return value * unit if math.isfinite(value) and value >= 0 else None
