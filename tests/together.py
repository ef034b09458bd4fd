"""Which tests one worker runs one after the other."""

from __future__ import annotations

from pathlib import PurePosixPath

E2E = PurePosixPath("tests", "e2e")


def together(nodeid: str) -> str:
    """The file of a test; its folder where that is one below tests/e2e, whose files share a cluster."""
    file = PurePosixPath(nodeid.split("::", 1)[0])
    return str(file.parent if E2E in file.parent.parents else file)
