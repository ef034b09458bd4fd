"""How Caddy's admin API is asked on an edge host: one command, by whoever may use its socket there. Pure.

The command loads a document unless Caddy has that one already. It prints what Caddy says of its upstreams, its version, and which
of the hosts have a certificate that is not due for renewal: Caddy renews when a third of its life is left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from duckconf.acme import Acme
from duckconf.command import Command, Completed
from duckconf.edge_config import ADMIN_SOCKET, issuers

DEADLINE = 20.0
OLD = re.compile(r"v?2\.[0-6]\.")
# Python 3.9 on the edge host, and nothing else.
PROGRAM = """\
import calendar, http.client, json, re, socket, ssl, subprocess, sys, time
def ask(method, path, body=None):
    talk = http.client.HTTPConnection("localhost", timeout=15)
    talk.sock = socket.socket(socket.AF_UNIX)
    talk.sock.settimeout(15)
    talk.sock.connect(sys.argv[1])
    talk.request(method, path, body, {"Host": "", "Content-Type": "application/json"})
    answer = talk.getresponse()
    return answer.status, answer.read().decode()
def certificate(host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", 443), 2) as raw:
        with context.wrap_socket(raw, server_hostname=host.replace("*", "any")) as talk:
            return talk.getpeercert(True)
def good(host):
    found = re.findall(rb"\\x17\\x0d(\\d{12})Z", certificate(host))
    begins, ends = (calendar.timegm(time.strptime("20" + one.decode(), "%Y%m%d%H%M%S")) for one in found[:2])
    return ends - time.time() > (ends - begins) / 3
wanted, refused, certificates = json.load(sys.stdin), "", {}
try:
    runs = json.loads(ask("GET", "/config/")[1]) or {}
    if wanted["document"] and runs != wanted["document"]:
        status, words = ask("POST", "/load", json.dumps(wanted["document"]))
        refused = words if status != 200 else ""
        runs = runs if refused else wanted["document"]
    policies = runs.get("apps", {}).get("tls", {}).get("automation", {}).get("policies", [])
    for host in wanted["hosts"] if policies and policies[-1]["issuers"] == wanted["issuers"] else ():
        try:
            certificates[host] = good(host)
        except (OSError, ValueError):
            pass
    upstreams = json.loads(ask("GET", "/reverse_proxy/upstreams")[1])
    version = subprocess.check_output(["caddy", "version"]).decode() if wanted["version"] else ""
    print(json.dumps({"refused": refused, "upstreams": upstreams, "certificates": certificates, "version": version}))
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[1], error.strerror or error))
"""


@dataclass(frozen=True)
class Answer:
    """Why the document was `refused`, "" when it was not, and the upstreams that Caddy knows with their open requests. Of the
    hosts asked for that have a certificate, whether it is good for a while. `old` is a Caddy before 2.7; None was not asked."""

    refused: str
    upstreams: dict[str, int]
    certificates: Mapping[str, bool]
    old: Optional[bool]


def asking(document: Optional[dict[str, Any]], hosts: Collection[str], acme: Acme, *, version: bool) -> Command:
    """With a document, have Caddy run that; without one, ask only. What has come from elsewhere than `acme` is no certificate."""
    asked = {"document": document, "hosts": sorted(hosts), "issuers": issuers(acme), "version": version}
    return Command(("python3", "-c", PROGRAM, ADMIN_SOCKET), json.dumps(asked, sort_keys=True).encode(), DEADLINE)


def read_answer(done: Completed) -> Answer:
    """Raises ValueError with what went wrong."""
    if not done.ok:
        raise ValueError(" ".join(done.stderr.split())[-300:] or f"python3 ended with {done.code}")
    try:
        told = json.loads(done.stdout)
        upstreams = {str(entry["address"]): int(entry["num_requests"]) for entry in told["upstreams"] or ()}
        certificates = {str(host): bool(good) for host, good in told["certificates"].items()}
        old = bool(OLD.match(told["version"])) if told["version"] else None
        return Answer(str(told["refused"]), upstreams, certificates, old)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its answer cannot be read: {error}") from error
