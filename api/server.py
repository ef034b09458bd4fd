"""Serves a WSGI app with cheroot: keep-alive, one thread for each request under way, TLS when there is a certificate."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from flask import Flask

from api.live.taken import Connection, Gateway
from duckconf.errors import SetupError
from duckconf.reach.state.ready import Readiness

# Above this the server itself refuses; below, the app does and says so as a problem.
LARGEST_READ = 8 * 1024 * 1024
# Seconds in which a client must send its request, and for which an idle connection is kept: longer than the pause
# between two heartbeats.
REQUEST_SECONDS = 15
BACKLOG = 1024
EVERY_ADDRESS = "::"
USUAL_PORTS = {"http": 80, "https": 443}


class PatientTls(BuiltinSSLAdapter):
    """Shakes hands in the thread that serves the connection: a client that is slow at it holds up nobody else."""

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


def bind(url: str, threads: int, certificate: str = "", key: str = "") -> wsgi.Server:
    """A server that listens and answers when `serve` gives it its app: who cannot have the address learns it before anything
    else is done. Raises SetupError."""
    host, port = _place(url, "https" if certificate else "http")
    server = wsgi.Server(
        (_address(host), port),
        _not_yet,
        numthreads=threads,
        server_name="duckconf",
        request_queue_size=BACKLOG,
        timeout=REQUEST_SECONDS,
    )
    server.ConnectionClass, server.gateway = Connection, Gateway
    server.max_request_body_size = LARGEST_READ
    server.keep_alive_conn_limit = sys.maxsize
    if certificate:
        server.ssl_adapter = PatientTls(certificate, key)
    try:
        server.prepare()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SetupError(f"cannot listen on {url}: {reason}", "free it or choose another with DUCKCONF_API") from error
    return server


def serve(server: wsgi.Server, app: Flask, *, finish: bool = False) -> None:
    """Serve until SIGTERM. With `finish`, requests under way have a few seconds to end; without it the process just goes."""
    readiness = Readiness()
    server.wsgi_app = app
    # What was acknowledged is on disk, and held requests would keep an orderly end waiting.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0) if finish else os._exit(0))
    readiness.tell()
    try:
        server.serve()
    finally:
        server.stop()


def _not_yet(_: object, start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """Requests that come before the app is there."""
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return []


def _place(url: str, scheme: str) -> tuple[str, int]:
    """Host and port of a URL; raises SetupError for one that names no place."""
    wrong = f"the address to listen on should be {scheme}://HOST:PORT, got {url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, USUAL_PORTS[scheme] if parts.port is None else parts.port
    except ValueError as error:
        raise SetupError(f"{wrong} ({error})", "see DUCKCONF_API and invoke.yml") from error
    if parts.scheme != scheme or not host or not port:
        raise SetupError(wrong, "see DUCKCONF_API and invoke.yml")
    return host, port


def _address(wanted: str) -> str:
    """Every address, of IPv6 and IPv4, is every address of IPv4 where the kernel has no other."""
    if wanted != EVERY_ADDRESS:
        return wanted
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return "0.0.0.0"  # noqa: S104 (agents call from other machines; without a token they get nothing)
    return wanted
