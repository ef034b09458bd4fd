"""How a service tells systemd that it is up, with a socket in systemd's place."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from duckconf.reach.state.ready import VARIABLE, Readiness


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_once_and_no_child_inherits_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + path if abstract else path)
        systemd.settimeout(5)
        monkeypatch.setenv(VARIABLE, f"@{path}" if abstract else path)
        readiness = Readiness()
        assert VARIABLE not in os.environ
        readiness.tell()
        assert systemd.recv(100) == b"READY=1"
        readiness.tell()
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_a_systemd_that_cannot_be_reached_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    Readiness().tell()
    assert "systemd cannot be told" in caplog.text
