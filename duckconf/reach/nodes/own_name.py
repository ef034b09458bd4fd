"""What this machine calls itself, read where the docker-wrapper reads it. For an agent, before it looks at its engine."""

from __future__ import annotations

import os
from pathlib import Path

from duckconf.node_name import NODE_FILE, OtherName


def require_name(node: str) -> None:
    """Raises OtherName when the wrapper would show and label the containers of another node. A machine without a name is told
    by the wrapper itself."""
    try:
        lines = Path(os.environ.get("DUCKCONF_NODE_FILE") or NODE_FILE).read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    own = lines[0].strip() if lines else ""
    if own not in ("", node):
        raise OtherName(node, own)
