"""This machine as a node of a cluster of its own, on its own engine, for agents that run as processes of a test."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duckconf.cli.demo.local_engine import LocalEngine
from tests.agent_rig import NODE

ROOT = Path(__file__).parents[2]
WRAPPER = ROOT / "roles" / "node" / "files" / "docker-wrapper"


@dataclass(frozen=True)
class Machine:
    """A node that is this machine: its engine as the engine itself sees it, and the environment of its agent."""

    cluster: str
    engine: LocalEngine
    environ: Mapping[str, str]

    def rows(self) -> list[dict[str, Any]]:
        return self.engine.listing("ps", "-a", f"--filter=label=duckconf.cluster={self.cluster}")

    def running(self) -> dict[str, str]:
        """App to container id; one that runs twice is named for it."""
        found: dict[str, str] = {}
        for row in self.rows():
            app = row["Labels"]["duckconf.app"]
            found[f"{app} again" if app in found else app] = row["Id"] if row["State"] == "running" else row["State"]
        return found

    def specs(self) -> dict[str, str]:
        return {row["Labels"]["duckconf.app"]: row["Labels"]["duckconf.spec"] for row in self.rows()}

    def starts(self) -> Counter[tuple[str, str]]:
        """How often each app was started from each spec."""
        argv = ("events", "--stream=false", "--since=10m", "--filter=event=start", "--format=json")
        lines = self.engine.must(*argv, f"--filter=label=duckconf.cluster={self.cluster}").splitlines()
        labels = [json.loads(line)["Attributes"] for line in lines]
        return Counter((found["duckconf.app"], found["duckconf.spec"]) for found in labels)


@contextmanager
def machine_of(engine_env: Mapping[str, str], folder: Path) -> Iterator[Machine]:
    """With the docker-wrapper in `folder`; what runs in its cluster is removed in the end."""
    cluster = f"a{os.getpid()}-{random.randrange(1000)}"
    (folder / "bin").mkdir()
    (folder / "bin" / "docker").symlink_to(WRAPPER)
    (folder / "node").write_text(f"{NODE}\n")
    environ = {**engine_env, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "DUCKCONF_NODE_FILE": str(folder / "node")}
    machine = Machine(cluster, LocalEngine(ROOT), environ)
    yield machine
    if rows := machine.rows():
        machine.engine.must("rm", "-f", "-t", "0", *(row["Id"] for row in rows))
