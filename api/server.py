"""Serves a WSGI app with cheroot: keep-alive, one thread for each request under way, TLS when there is a certificate."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from urllib.parse import urlsplit

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from flask import Flask

from duckconf.errors import SetupError
from duckconf.reach.state.ready import Readiness

# Above this the server itself refuses; below, the app does and says so as a problem.
LARGEST_READ = 8 * 1024 * 1024
# Seconds in which a client must send its request, and for which an idle connection is kept: longer than the pause
# between two heartbeats.
REQUEST_SECONDS = 15
BACKLOG = 1024
EVERY_ADDRESS = "::"


class PatientTls(BuiltinSSLAdapter):
    """Shakes hands in the thread that serves the connection: a client that is slow at it holds up nobody else."""

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


def serve(app: Flask, url: str, threads: int, certificate: str = "", key: str = "") -> None:
    """Serve until SIGTERM. Raises SetupError when the address cannot be used."""
    readiness = Readiness()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"the address to listen on should be http://HOST:PORT, got {url}")
    server = wsgi.Server(
        (_address(parts.hostname), parts.port or 80),
        app,
        numthreads=threads,
        server_name="duckconf",
        request_queue_size=BACKLOG,
        timeout=REQUEST_SECONDS,
    )
    server.max_request_body_size = LARGEST_READ
    server.keep_alive_conn_limit = sys.maxsize
    if certificate:
        server.ssl_adapter = PatientTls(certificate, key)
    try:
        server.prepare()
    except OSError as error:
        raise SetupError(f"cannot listen on {url}: {error.strerror or error}", "free it or choose another address") from error
    # What was acknowledged is on disk, and held requests would keep an orderly end waiting: the process just goes.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    readiness.tell()
    server.serve()


def _address(wanted: str) -> str:
    """Every address, of IPv6 and IPv4, is every address of IPv4 where the kernel has no other."""
    if wanted != EVERY_ADDRESS:
        return wanted
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return "0.0.0.0"  # noqa: S104 (agents call from other machines; without a token they get nothing)
    return wanted
