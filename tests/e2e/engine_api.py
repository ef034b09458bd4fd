"""What an engine says over its socket, past every layer of ours. A look costs a tenth of what a process of podman's does."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

DEADLINE = 30.0
LIST = "/v4.0.0/libpod/containers/json?all=true&filters="


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def containers(path: Path, *labels: str) -> list[dict[str, Any]]:
    """As `podman ps --all --format json` has those with all these labels; raises OSError when the engine does not answer."""
    connection = _Connection(path)
    try:
        connection.request("GET", LIST + quote(json.dumps({"label": labels})))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, body
    return list(json.loads(body) or [])
