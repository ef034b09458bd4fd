"""Starts that an agent had begun when it was killed: they go on, and a second one would replace what they start.

Read from /proc; nothing is ended.
"""

from __future__ import annotations

from pathlib import Path

from duckconf.naming import ENV_NODE, LABEL_CLUSTER

PROC = Path("/proc")
# Of the engine. One that has secrets is created before it is started.
STARTS = frozenset({"run", "create"})


def starts_under_way(cluster: str, node: str) -> dict[int, str]:
    """Process id to the container that it starts on this node for the cluster."""
    signs = {f"--label={LABEL_CLUSTER}={cluster}", f"--env={ENV_NODE}={node}"}
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            words = _words(folder)
            if signs <= set(words) and "--name" in words[:-1] and STARTS & set(words):
                found[int(folder.name)] = words[words.index("--name") + 1]
    return found


def still_starts(process: int, container: str) -> bool:
    words = _words(PROC / str(process))
    return bool(STARTS & set(words)) and container in words


def _words(folder: Path) -> list[str]:
    try:
        return (folder / "cmdline").read_bytes().decode("utf-8", errors="replace").split("\0")
    except OSError:
        return []
