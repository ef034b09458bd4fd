"""The rig of these tests prints nothing of its own."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.agent_rig import NODE, TOKEN, FakeApi
from tests.waiting import until

HEAD = f"PUT /node/{NODE}/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 20\r\n\r\n"


@pytest.mark.parametrize("sent", ["", '{"containers"'])
def test_an_agent_that_is_killed_in_a_heartbeat_leaves_no_traceback(sent: str, capfd: pytest.CaptureFixture[str]) -> None:
    api = FakeApi()
    before = threading.active_count()
    with socket.create_connection(("127.0.0.1", api.port)) as agent:
        agent.sendall((HEAD + sent).encode())
        until("it is being heard", lambda: threading.active_count() > before)
    until("its request has ended", lambda: threading.active_count() == before)
    api.stop()
    assert api.beats == []
    assert capfd.readouterr().err == ""
