"""How a route takes the connection of its request from the server, to write to it when it likes.

The worker that served the request sends status and headers, and is free for others then.
"""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any

from cheroot import server, wsgi

log = logging.getLogger(__name__)

# In the environment of a request: a call with what is given the socket once the headers are sent.
TAKE = "duckconf.take"

READS = (b"GET", b"HEAD", b"OPTIONS")
# Of Linux: the other side sends nothing more, whatever of it is still to be read. Elsewhere only a broken connection is seen.
LEFT = getattr(select, "POLLRDHUP", 0)

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
    """Offers a connection to the route of its request. A write whose sender has left is not carried out: while this process was
    frozen, the sender may have asked another server, and others may have written since."""

    def respond(self) -> None:
        if self.req.method not in READS and _has_left(self.req.conn.socket):
            log.warning("%s %s is not carried out: who sent it has left", self.req.method.decode(), self.req.path.decode())
            # Nobody reads an answer.
            self.req.ready, self.req.close_connection = False, True
            return
        super().respond()

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


def _has_left(line: socket.socket) -> bool:
    """As far as it is known here: the end of a body that is larger than the window of the connection has not come yet."""
    asked = select.poll()
    asked.register(line.fileno(), LEFT)
    return bool(asked.poll(0))
