"""The configuration of a node's agent: one JSON file that the role `agent` writes."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from duckconf.addresses import split
from duckconf.engine import PODMAN
from duckconf.errors import SetupError
from duckconf.reach.api.servers import Servers

ADDRESSES = "addresses.json"


@dataclass(frozen=True)
class AgentConfig:
    """`node` is this machine's name in the inventory. `api_url` has the addresses of the API servers, with commas between them.
    `interval` is in seconds. `ca_file` is for https servers whose certificate no public authority has signed."""

    cluster: str
    node: str
    api_url: str
    token_file: str = "/etc/duckconf/agent.token"  # noqa: S105
    state_dir: str = "/var/lib/duckconf-agent"
    interval: float = 10.0
    engine: str = PODMAN
    ca_file: str = ""

    @functools.cached_property
    def servers(self) -> Servers:
        """What all threads of this agent know of the API servers."""
        return Servers(split(self.api_url), self.node, self.ca_file, Path(self.state_dir) / ADDRESSES)


def read_agent_config(path: Path) -> AgentConfig:
    """Raises SetupError that says what is wrong with the file."""
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        known = {item.name for item in fields(AgentConfig)}
        unknown = sorted(set(content) - known)
        if unknown:
            raise SetupError(f"{path}: {', '.join(unknown)} is not a setting; known are {', '.join(sorted(known))}")
        config = AgentConfig(**content)
        if config.interval <= 0 or not all(isinstance(value, (str, int, float)) for value in content.values()):
            raise ValueError("every setting is a text, but interval, a number of seconds above 0")
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"{path} cannot be read: {error}", "the role `agent` writes it") from error
    return config
