"""What containers use of a node, as the engines' `stats` command tells it. Pure.

Docker measures the processor itself, for two seconds. Podman tells how much time a container has had since its start: two
looks say what it uses now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckconf.command import Command, Completed
from duckconf.durations import PART, SECONDS
from duckconf.engine import DOCKER

SIZE = re.compile(r"\s*([0-9.]+)\s*([kKMGTP]?)(i?)B\s*")
POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
DEADLINE = 15.0


@dataclass(frozen=True)
class Usage:
    """Of one container; `cpu` in percent of one core, the rest in bytes. None for what is not known."""

    id: str
    cpu: float | None = None
    cpu_seconds: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    received: int | None = None
    sent: int | None = None
    processes: int | None = None


def ask(containers: Sequence[str]) -> Command:
    return Command((DOCKER, "stats", "--no-stream", "--no-trunc", "--format", "{{json .}}", *containers), deadline=DEADLINE)


def read(done: Completed) -> dict[str, Usage]:
    """By the id of the container; raises ValueError for an answer that cannot be read."""
    text = done.stdout.strip()
    rows = json.loads(text if text.startswith("[") else f"[{','.join(text.splitlines())}]")
    try:
        found = [_podman(row) if "cpu_percent" in row else _docker(row) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return {usage.id: usage for usage in found}


def between(before: Usage | None, now: Usage, seconds: float) -> Usage:
    """With what the processor did between two looks, where the engine tells its time."""
    if now.cpu_seconds is None:
        return now
    if before is None or before.cpu_seconds is None or now.cpu_seconds < before.cpu_seconds or seconds <= 0:
        return replace(now, cpu=None)
    return replace(now, cpu=round(100 * (now.cpu_seconds - before.cpu_seconds) / seconds, 2))


def of_container(usages: Mapping[str, Usage], number: str) -> Usage | None:
    """Engines shorten ids, each in its own way."""
    return next((usage for known, usage in usages.items() if known and number.startswith(known)), None)


def _podman(row: Mapping[str, Any]) -> Usage:
    return _usage(row["id"], None, _seconds(row["cpu_time"]), row["mem_usage"], row["net_io"], row["pids"])


def _docker(row: Mapping[str, Any]) -> Usage:
    percent = row["CPUPerc"].rstrip("%")
    cpu = float(percent) if re.fullmatch(r"[0-9.]+", percent) else None
    return _usage(row["ID"], cpu, None, row["MemUsage"], row["NetIO"], row["PIDs"])


def _usage(number: str, cpu: float | None, seconds: float | None, memory: str, network: str, processes: object) -> Usage:
    used, limit = _pair(memory)
    received, sent = _pair(network)
    if not limit:
        # What runs has a limit, that of its node at least: the engine has not measured it yet, and its zeros say nothing.
        used = limit = cpu = seconds = received = sent = None
    count = int(str(processes)) if str(processes).isdigit() else None
    return Usage(number, cpu, seconds, used, limit, received, sent, count)


def _pair(text: str) -> tuple[int | None, int | None]:
    first, _, second = text.partition("/")
    return _bytes(first), _bytes(second)


def _bytes(text: str) -> int | None:
    """`36.69MB` of podman is decimal, `35.2MiB` of docker is not."""
    found = SIZE.fullmatch(text)
    return round(float(found[1]) * (1024 if found[3] else 1000) ** POWERS[found[2]]) if found else None


def _seconds(text: str) -> float | None:
    """As Go writes durations: `1h2m3.5s`, `613.95ms`, `12µs`."""
    parts = PART.findall(text.replace("µs", "us"))
    return sum(float(number) * SECONDS[unit] for number, unit in parts) if parts else None


def size(count: int | None) -> str:
    """In the units that docker shows."""
    if count is None:
        return "-"
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f}{unit}" if unit == "B" else f"{value:.3g}{unit}"
