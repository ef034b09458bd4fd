"""The alerts of docs/monitoring, tested by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "monitoring"
TOOLS = ROOT / ".duckconf" / "tools"


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Installed, or taken out of Debian's package once: to install that would start a server on this machine."""
    if found := shutil.which("promtool"):
        return found
    unpacked = TOOLS / "usr" / "bin" / "promtool"
    if not unpacked.is_file():
        folder = tmp_path_factory.mktemp("prometheus")
        run(["apt-get", "download", "-q", "prometheus"], folder)
        TOOLS.mkdir(parents=True, exist_ok=True)
        run(["dpkg-deb", "-x", *(path.name for path in folder.glob("*.deb")), str(TOOLS)], folder)
    return str(unpacked)


def run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_for_its_trouble_and_for_nothing_else(promtool: str) -> None:
    run([promtool, "check", "rules", "alerts.yml"], FOLDER)
    run([promtool, "test", "rules", "alerts_test.yml"], FOLDER)
