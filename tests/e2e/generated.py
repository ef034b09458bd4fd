"""A client that a generator makes from the API's own description, as somebody who knows nothing else has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

GENERATOR = "openapi-python-client==0.29.1"
# What it prints is what the server answered, read by the models that were made.
START = """\
import json, sys
from made.api.default import start_app
from made.client import Client
from made.models.app import App
with Client(base_url=sys.argv[1], timeout=60) as client:
    answer = start_app.sync_detailed(client=client, body=App.from_dict(json.loads(sys.argv[2])))
print(json.dumps({"status": answer.status_code, "as": type(answer.parsed).__name__, "told": answer.parsed.to_dict()}))
"""


class GeneratedClient:
    """Made in `folder`. The generator is fetched once for a checkout and lies in `tools`."""

    def __init__(self, folder: Path, tools: Path, url: str) -> None:
        self._url = url
        self._environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, _fetched(tools))))}
        options = (f"--url={url}/openapi.json", f"--output-path={folder / 'made'}", "--meta=none", "--fail-on-warning")
        self._run("-m", "openapi_python_client", "generate", *options)

    def start(self, app: dict[str, Any]) -> dict[str, Any]:
        """The status, the kind of the answer, and its fields."""
        told: dict[str, Any] = json.loads(self._run("-c", START, self._url, json.dumps(app)))
        return told

    def _run(self, *words: str) -> str:
        # The generator looks for ruff, which is beside this Python.
        path = os.pathsep.join((str(Path(sys.executable).parent), self._environ["PATH"]))
        command, environ = [sys.executable, *words], {**self._environ, "PATH": path}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _fetched(tools: Path) -> Path:
    """The folder with the generator and what it needs: whole, or it is not there."""
    place = tools / GENERATOR.replace("==", "-")
    if not place.is_dir():
        half = place.with_name(f"{place.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", f"--target={half}", GENERATOR]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        assert done.returncode == 0, done.stderr
        half.rename(place)
    return place
