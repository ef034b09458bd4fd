"""Which login key each demo host has been given. A key that was made anew reaches the hosts that are there at the next `up`: they
let nobody else in who could bring it."""

from __future__ import annotations

from pathlib import Path

from duckconf.cli.demo.host_files import tar
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import step
from duckconf.reach.state.files import write_durably

AUTHORIZED = "root/.ssh/authorized_keys"


def give_anew(engine: LocalEngine, state: Path, host: str, container: str, authorized: str) -> None:
    """Also to a container that is frozen or stopped. Raises SetupError."""
    if has_been_given(state, host, authorized):
        return
    with step(f"giving {container} the key of the cluster"):
        engine.must("cp", "-", f"{container}:/", stdin=tar([(AUTHORIZED, 0o600, authorized.encode())]))
        note(state, host, authorized)


def note(state: Path, host: str, authorized: str) -> None:
    """The host has this line of authorized_keys."""
    write_durably(_note_of(state, host), authorized.encode())


def has_been_given(state: Path, host: str, authorized: str) -> bool:
    path = _note_of(state, host)
    return path.is_file() and path.read_text() == authorized


def _note_of(state: Path, host: str) -> Path:
    return state / "host-keys" / f"{host}.login"
