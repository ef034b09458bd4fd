"""A docker engine for the tests: dockerd of this machine with folders, a socket and a network of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import until

# Where rlimits cannot be raised, containers get no more than is there.
LIMITS = ("nofile=20000:20000", "nproc=30000:30000")


@contextmanager
def docker_daemon() -> Iterator[str]:
    """The address of its socket, for DOCKER_HOST. Its bridge and rules are in a network namespace that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    address = f"unix://{folder}/docker.sock"
    daemon = ["dockerd", f"--host={address}", f"--pidfile={folder}/pid", *(f"--default-ulimit={limit}" for limit in LIMITS)]
    daemon += [f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    argv = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *daemon]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            done = subprocess.run(["docker", f"--host={address}", "version"], capture_output=True, timeout=30, check=False)
            return done.returncode == 0

        until("dockerd answers", answers, 60)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        # An app on the node's network leaves a mount of it there.
        for left in (folder / "exec" / "netns").glob("*"):
            subprocess.run(["umount", left], check=False, capture_output=True)
        shutil.rmtree(folder)
