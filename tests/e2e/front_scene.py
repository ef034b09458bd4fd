"""A front before nodes that have an engine of their own each: what one of them has taken when it falls silent is not lost."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from duckconf.cli.demo.demo_front import front_of
from duckconf.cli.demo.load import Target, load
from duckconf.naming import WEB_IMAGE
from tests.e2e.own_engines import Own
from tests.waiting import until

HOST = "own.example.org"
SECONDS = 3
# Nothing comes in and nothing goes out; what runs on the node goes on, and nobody is told that it is cut off.
CUT = """
add table ip cut
add chain ip cut in { type filter hook input priority 0; }
add rule ip cut in iifname "eth0" drop
add chain ip cut out { type filter hook output priority 0; }
add rule ip cut out oifname "eth0" drop
add chain ip cut through { type filter hook forward priority 0; }
add rule ip cut through iifname "eth0" drop
add rule ip cut through oifname "eth0" drop
"""
# Answers at once, or after some seconds.
SERVER = f"""
bb=/bin/busybox
$bb mkdir -p /www/cgi-bin /tmp
echo quick >/www/index.html
printf '#!/bin/busybox sh\\n/bin/busybox sleep {SECONDS}\\nprintf "Content-Type: text/plain\\\\n\\\\nslow"\\n' >/www/cgi-bin/slow
$bb chmod +x /www/cgi-bin/slow
exec $bb httpd -f -p 80 -h /www
"""


@contextmanager
def cut(own: Own, node: str) -> Iterator[None]:
    own.must(node, "nft", CUT)
    try:
        yield
    finally:
        own.must(node, "nft", "delete table ip cut")


def asked(front: Target, path: str) -> tuple[int, bytes]:
    """The status over HTTPS and the answer, 0 for none."""
    context = ssl.create_default_context(cafile=front.root)
    connection = http.client.HTTPConnection(front.host)
    try:
        raw = socket.create_connection((front.address, front.port), 3)
        connection.sock = context.wrap_socket(raw, server_hostname=front.host)
        connection.sock.settimeout(20)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def check_that_a_silent_node_keeps_no_request(own: Own, folder: Path) -> None:
    """Requests that are slow are answered, also by a node that falls silent: another one does it."""
    shell = {"entrypoint": ["/bin/busybox", "sh", "-c"], "command": [SERVER], "stop_signal": "SIGKILL"}
    own.put("fronted", image=WEB_IMAGE, replicas=3, ports=["80"], routes=[HOST], healthcheck={"http": "/:80"}, **shell)
    until("one runs on each node", lambda: own.running()["fronted", "node-2"] == 1 and own.running().total() == 3, 40)
    target = front_of(own.live.project, own.live.engine, "node-1", HOST, folder)
    until("all serve", lambda: all(asked(target, "/")[0] == 200 for _ in range(9)), 40)
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(asked, target, "/cgi-bin/slow") for _ in range(6)]
        time.sleep(SECONDS / 4)
        with cut(own, "node-2"), load(target, 60.0) as count:
            when = time.monotonic()
            answers = [one.result() for one in slow]
            took = time.monotonic() - when
    assert set(answers) == {(200, b"slow")}, answers
    assert took > SECONDS, "no request was at the silent node"
    assert count.failed == 0, count.failures
    assert count.last_slow(when, 1.0) < 2.0, "it was in the front for longer"
    own.withdraw(["fronted"])
