"""What the tests of the agent as a process share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.naming import app_labels
from tests.agent_rig import NODE, AgentProcess
from tests.fake_docker import FakeEngine

ROOT = Path(__file__).parents[3]
CLUSTER = "sim"
WEB = {"name": "web", "image": "web", "generation": 7, "update_config": {"monitor": "1s"}}
PROGRAM = [sys.executable, "-m", "controllers.app_controller"]
Install = Callable[..., AgentProcess]


def runs(engine: FakeEngine, *names: str) -> Callable[[], bool]:
    return lambda: engine.seen() == dict.fromkeys(names, "running")


def labels(app: App, generation: int = 0) -> dict[str, str]:
    return {**app_labels(CLUSTER, app.name, spec_hash(app), generation), "node": NODE}
