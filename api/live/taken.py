"""How a route takes the connection of its request from the server, to write to it when it likes.

The worker that served the request sends status and headers, and is free for others then.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

from cheroot import server, wsgi

log = logging.getLogger(__name__)

# In the environment of a request: a call with what is given the socket once the headers are sent.
TAKE = "duckconf.take"

Take = Callable[[Callable[[socket.socket], None]], None]


class Connection(server.HTTPConnection):
    """A connection that somebody may have taken: then the server does not close it."""

    taker: Callable[[socket.socket], None] | None = None

    def close(self) -> None:
        taker, self.taker = self.taker, None
        if taker is not None:
            try:
                taker(self.socket)
            except Exception:
                # It would end the worker, and with that the server.
                log.exception("a connection cannot be handed over")
            else:
                return
        super().close()


class Gateway(wsgi.Gateway_10):
    """Offers a connection to the route of its request."""

    def __init__(self, req: Any) -> None:
        super().__init__(req)
        self.env[TAKE] = self._take

    def _take(self, taker: Callable[[socket.socket], None]) -> None:
        self.req.conn.taker = taker
        # The end of the answer is the end of the connection, so that its content is written as it is.
        self.req.response_protocol = "HTTP/1.0"
        self.req.close_connection = True


def take_of(environ: Mapping[str, Any]) -> Take | None:
    """None where the server has no such thing, as under a test client."""
    return environ.get(TAKE)
