"""Which clusters of this machine use the demo's images. Checkouts share one engine, and so its images.

A cluster is written down by its state folder when it is brought up, in a file of its own, and counts for as long as that
folder exists: a cluster that is down will want its images again, one whose state was purged will not.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from duckconf.reach.state.files import write_durably


def note_user(state: Path) -> None:
    """The cluster with this state folder uses the images."""
    note = _note_of(state)
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        write_durably(note, f"{state}\n".encode())


def forget_user(state: Path) -> list[Path]:
    """The cluster does not use them any more; returns the state folders of those that do, and drops the notes of others."""
    _note_of(state).unlink(missing_ok=True)
    users = []
    for note in sorted(_folder().glob("[0-9a-f]*")):
        user = Path(note.read_text().strip())
        if user.is_dir():
            users.append(user)
        else:
            note.unlink(missing_ok=True)
    return users


def _note_of(state: Path) -> Path:
    return _folder() / hashlib.sha256(str(state).encode()).hexdigest()[:16]


def _folder() -> Path:
    """Where programs of this user keep their state, by the XDG base directory specification."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "state") / "duckconf" / "image-users"
