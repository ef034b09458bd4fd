"""The words of `watch` for states and for what a key cannot do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from duckconf.watching.spans import BAD, BUSY, WELL

SIGNS = {
    "ready": "●", "running": "●", "healthy": "●", "suspect": "◐", "starting": "◔", "pending": "○", "backoff": "↻",
    "paused": "‖", "unreachable": "✕", "lost": "✕", "silent": "✕", "stopped": "■", "exited": "■", "unreadable": "?",
    "unhealthy": "!", "failed": "!",
}  # fmt: skip
OTHER_SIGN = "•"
TONES = {"ready": WELL, "running": WELL, "done": WELL} | dict.fromkeys(
    ("starting", "pending", "suspect", "created", "removing", "stopping"), BUSY
)
# What a kill leads to, by mode.
KILLED = {
    "push": "It stays down: push mode repairs nothing",
    "reconcile": "The loop will start it again",
    "agents": "The agent of its node will start it again",
}
PUSHED = re.compile(r"duckconf-.*-(app-\d+)")

Part = Mapping[str, Any]


def tone(state: str) -> str:
    return TONES.get(state.split(" ")[0], BAD)


def sign(state: str) -> str:
    return SIGNS.get(state.split(" ")[0], OTHER_SIGN)


def state_of(one: Part) -> str:
    """Of an instance in one word: what its check says counts for more than that it runs."""
    status = str(one.get("status") or "pending")
    if status != "running" or one.get("surplus"):
        return status
    if one.get("health") in ("unhealthy", "starting"):
        return str(one["health"])
    return "ready" if one.get("ready") else "starting"


def short_name(name: str, mode: str) -> str:
    """In push mode an app has the name of its container, which begins with cluster and node."""
    found = PUSHED.fullmatch(name) if mode == "push" else None
    return found[1] if found else name


def short_image(image: str) -> str:
    """Without its registry and path."""
    return re.sub(r"@sha256:([0-9a-f]{8})[0-9a-f]*", r"@\1", image.rpartition("/")[2])


def is_killable(one: Part) -> bool:
    return one.get("status") == "running" and bool(one.get("node"))


def refusal(key: str, mode: str, pane: str, name: str, part: Part) -> str:
    """Why a key cannot do anything to what is chosen, with what to use instead; "" where it can."""
    if key == "k":
        if pane == "nodes":
            return "k kills an app or an instance: Tab goes there; f freezes a node"
        if pane == "instances" and not is_killable(part):
            return f"{short_name(name, mode)} does not run ({state_of(part)}): ./inv explain {name} says why"
        return ""
    if pane == "apps":
        return "this key is for a node: Tab goes to the nodes, or to an instance and so to its node"
    if pane == "instances" and not part.get("node"):
        return f"{name} has no node yet: {part.get('note') or 'it waits for a place'}"
    if key == "d" and mode == "push":
        node = part.get("node", name) if pane == "instances" else name
        return f"push mode moves no apps: c keeps new ones off {node}; reconcile and agents mode drain (./inv up reconcile)"
    return ""
