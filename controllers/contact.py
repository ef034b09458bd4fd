"""The agent's contact with the api-server: calls with its token, deadlines, and pauses that grow while it is away."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from duckconf.addresses import spread
from duckconf.errors import DuckconfError
from duckconf.reach.api.agent_config import AgentConfig
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.secret import read_token

FIRST_PAUSE = 0.5
ANSWER_WITHIN = 5.0


class Contact:
    """For one thread; all threads of an agent ask the same server. After a failure the connection and the token are new ones:
    either may have been exchanged."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._client: ApiClient | None = None
        self._servers = config.servers
        self._failures = 0

    @property
    def server(self) -> str:
        """Which one answered the last call; "" when none did."""
        return "" if self._client is None else self._client.server

    @property
    def open(self) -> bool:
        """Whether the last call was answered; the next one then asks the same server, unless that has begun again."""
        return self.server == self._servers.choose()

    def call(
        self, method: str, path: str, body: object = None, *, held: float = 0.0, within: float = ANSWER_WITHIN
    ) -> dict[str, Any]:
        """The answer; raises ApiRefused for the server's no, DuckconfError when there is none. `held` is for how many
        seconds the server may hold the call, `within` how many more it may take. A call that is held is not asked of another
        server: that one may have to hear first what runs here."""
        try:
            if self._client is None:
                token = read_token(Path(self._config.token_file))
                remedy = "the agent continues with its last desired state"
                self._client = ApiClient(self._servers, remedy, token)
            return self._client.call(method, path, body, held + within, held=held > 0)
        except DuckconfError:
            self._client = None
            raise

    def fine(self) -> None:
        """All went well: the next pause is a short one."""
        self._failures = 0

    def pause(self, longest: float = float("inf")) -> float:
        """Seconds until the next try after a failure, at most `longest`: each node's own, so that they do not all come at
        once."""
        self._failures += 1
        if self._failures == 1 and len(self._servers.urls) > 1:
            return min(longest, spread(random.random()))  # noqa: S311
        longest = min(self._config.interval, longest, FIRST_PAUSE * 2 ** min(self._failures - 1, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311
