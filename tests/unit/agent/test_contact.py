"""How soon an agent tries again to reach the api-server."""

from __future__ import annotations

from controllers.contact import Contact
from duckconf.reach.api.agent_config import AgentConfig

CONFIG = AgentConfig(node="node-1", cluster="c", api_url="http://127.0.0.1:1", token_file="none", state_dir="none", interval=10.0)


def test_pauses_grow_to_the_interval_and_never_beyond_what_the_server_asks_for() -> None:
    contact = Contact(CONFIG)
    pauses = [contact.pause() for _ in range(20)]
    assert pauses[0] <= 0.5
    assert 5.0 <= pauses[-1] <= 10.0
    asked = [contact.pause(2.0) for _ in range(20)]
    assert (min(asked) >= 1.0, max(asked) <= 2.0) == (True, True)
    contact.fine()
    assert contact.pause(2.0) <= 0.5
