"""A machine that is lost: what a cluster keeps on the operator's is gone, while its nodes and apps go on."""

from __future__ import annotations

import shutil
from pathlib import Path

from duckconf.cli.cluster.services import api_service, loop_service
from tests.e2e.conftest import Live

# The demo nodes reach the engine of this machine by these; no real node has anything of the kind.
OF_THE_ENGINE = ("engine", "engine.pid", "engine.log")


def passphrase_file(folder: Path, text: str = "correct horse battery") -> Path:
    path = folder / f"passphrase-{len(text)}"
    path.write_text(f"{text}\n")
    return path


def lose_the_operators_machine(cluster: Live, *kept: str) -> None:
    """Its processes end, and its state folder is gone but for what is `kept`: the state of a control plane that is elsewhere."""
    state = cluster.project.state
    loop_service(cluster.project).stop()
    api_service(cluster.project).stop()
    for path in state.iterdir():
        if path.name not in (*OF_THE_ENGINE, *kept):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def backed_up(cluster: Live, folder: Path) -> Path:
    file = folder / "cluster.backup"
    done = cluster.inv("backup", str(file), "--passphrase-file", str(passphrase_file(folder)))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    again = cluster.inv("backup", str(file), "--passphrase-file", str(passphrase_file(folder)))
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    return file


def restored(cluster: Live, file: Path, mode: str) -> str:
    """What `up` said."""
    words = ("restore", str(file), "--passphrase-file")
    full = sorted(path.name for path in cluster.project.state.iterdir())
    wrong = cluster.inv(*words, str(passphrase_file(file.parent, "another horse")))
    assert (wrong.returncode, "passphrase" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)
    assert sorted(path.name for path in cluster.project.state.iterdir()) == full
    done = cluster.inv(*words, str(passphrase_file(file.parent)))
    assert (done.returncode, f"./inv up {mode}" in done.stderr) == (0, True), done.stderr
    again = cluster.inv(*words, str(passphrase_file(file.parent)))
    assert (again.returncode, "holds a cluster already" in again.stderr) == (1, True)
    up = cluster.inv("up", mode)
    assert up.returncode == 0, up.stderr
    return up.stderr
