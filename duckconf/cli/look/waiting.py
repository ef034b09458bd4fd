"""The instances that should run and do not: how many in which state, and the first reasons. For `status` in every mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from duckconf.counts import counted

MOST_REASONS = 3


def waiting_row(app: str, state: str, note: str) -> dict[str, Any]:
    return {"app": app, "state": state, "note": note}


def say_unknown() -> None:
    print("\nthe desired state cannot be read, so it is not known which apps should run; all apps are left unchanged")


def say_instances(desired: int, waiting: Sequence[dict[str, Any]], done: int = 0) -> None:
    """`waiting` are rows of `waiting_row`, `done` the number of instances of jobs that are."""
    over = f", {done} done" if done else ""
    print(f"\n{counted(desired, 'instance')} desired, {desired - len(waiting) - done} running{over}")
    if not waiting:
        return
    states = Counter(row["state"] for row in waiting)
    print(", ".join(f"{number} {state}" for state, number in sorted(states.items())) + ":")
    for row in waiting[:MOST_REASONS]:
        print(f"  {row['app']}: {row['state']}" + (f", because: {row['note']}" if row["note"] else ""))
    if len(waiting) > MOST_REASONS:
        print(f"  and {len(waiting) - MOST_REASONS} more; see ./inv ps")
