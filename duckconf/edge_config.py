"""What Caddy is told on an edge host, as one JSON document: from what is served follows all of it. Pure.

A change is a new document (`/load`): Caddy replaces its configuration in one step, keeps its sockets, and ends the requests that
are under way by the old one. Every other way to change it does the same inside. An upstream that leaves stands in a server that
nobody reaches until its requests have ended: Caddy counts the requests of what its configuration names, and of nothing else.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import count, groupby
from typing import Any

from duckconf.acme import INTERNAL, Acme
from duckconf.front import Serving, Upstream

FOLDER = "/run/duckconf-edge"
ADMIN_SOCKET = f"{FOLDER}/admin.sock"
PARKED_SOCKET = f"{FOLDER}/parked.sock"
# Of Caddy's own authority, under `duckconf_acme: internal`.
ROOT_CERTIFICATE = "/var/lib/duckconf-edge/caddy/pki/authorities/local/root.crt"
# As long a request looks for an upstream that takes it. Then it is taken to each in turn, once, and to no more than so many.
TRY_FOR = "5s"
LAST_TRIES = 4
# An upstream that twice does not take a connection in this time is passed over for a while. One that is frozen is out of the
# front within a second, by this or by its check.
DIALLED_WITHIN = "700ms"
MOST_FAILS = 2
PASSED_OVER = "3s"
CHECKED_EVERY = "300ms"
CHECKED_WITHIN = 0.65
# Methods that may be sent twice, and whose requests have no body that would be gone by then.
AGAIN = ("GET", "HEAD", "OPTIONS", "DELETE")
# Who has its last tries: a request that found no upstream, one that no upstream has seen, and one that may be sent again.
NOT_LOST = (
    "{http.error.status_code} == 503 || ({http.error.status_code} == 502 && "
    f"({{http.request.method}} in {json.dumps(AGAIN)} || {{http.error.message}}.startsWith('dial ')))"
)
# As long may a WebSocket go on after a change. A Caddy before 2.7 does not know it, and closes them.
STREAMS = "stream_close_delay"
STREAMS_FOR = "1h"
# Names for which Caddy is its own authority, whatever it is told.
NEVER_PUBLIC = (".localhost", ".local", ".internal", ".home.arpa")
# Renewals at handshakes, of all hosts together: a bound for the time between two looks at what is due. An old Caddy panics over a
# document without it after one with it.
AT_HANDSHAKES = {"interval": "1h", "burst": 4}
# Who the client is, also for apps that do not read X-Forwarded-For, which Caddy sets: none of it is what the client says.
CLIENT = {"set": {"X-Real-Ip": ["{http.request.remote.host}"]}, "delete": ["Forwarded", "X-Client-Ip", "True-Client-Ip"]}
# Seconds that a client has for the head of a request: one that sends a byte now and then holds a connection otherwise.
HEAD_WITHIN = "20s"
NOBODY = "No app is served as {http.request.host}{http.request.uri.path} here.\n"
NONE_READY = "No instance of {} is ready.\n"
HEADS = {"read_header_timeout": HEAD_WITHIN}
Json = dict[str, Any]


def document(
    servings: Sequence[Serving], parked: Collection[str], acme: Acme, *, certified: Collection[str] = (), old: bool = False
) -> Json:
    """`parked` are the addresses whose last requests are waited for. `old` is a Caddy before 2.7, and `certified` are the hosts
    whose certificate it has, and not due."""
    servers: Json = {"plain": {"listen": [":80"], "automatic_https": {"disable": True}, "routes": _plain(servings), **HEADS}}
    if servings:
        servers["secure"] = {
            "listen": [":443"],
            "automatic_https": {"disable_redirects": True},
            "routes": [*_secure(servings, old=old), _said(404, NOBODY)],
            "errors": {"routes": _last_tries(servings, old=old)},
            **HEADS,
        }
    if parked:
        proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": address} for address in sorted(parked)]}
        servers["parked"] = {"listen": [f"unix/{PARKED_SOCKET}"], "routes": [{"handle": [proxy]}]}
    apps: Json = {"http": {"servers": servers}}
    if servings or old:
        hosts = {one.route.host for one in servings}
        apps["tls"] = {"automation": _automation(sorted(hosts.intersection(certified)), acme, old=old)}
    if acme.directory == INTERNAL:
        # Whom the host itself trusts is not for a front to say.
        apps["pki"] = {"certificate_authorities": {"local": {"install_trust": False}}}
    return {"admin": {"listen": f"unix/{ADMIN_SOCKET}"}, "apps": apps}


def _automation(certified: Sequence[str], acme: Acme, *, old: bool) -> Json:
    """An old Caddy loads a certificate of `certified` during a handshake as well."""
    rest = {"issuers": issuers(acme)}
    if not old:
        return {"policies": [rest]}
    subjects = [host for host in certified if acme.directory == INTERNAL or _may_be_public(host)]
    loaded = [{**rest, "subjects": subjects, "on_demand": True}] if subjects else []
    return {"policies": [*loaded, rest], "on_demand": {"rate_limit": AT_HANDSHAKES}}


def _may_be_public(host: str) -> bool:
    return "." in host and not host.startswith("*.") and not host.endswith(NEVER_PUBLIC)


def issuers(acme: Acme) -> list[Json]:
    if acme.directory == INTERNAL:
        return [{"module": "internal"}]
    directory = {"ca": acme.directory} if acme.directory else {}
    return [{"module": "acme", **directory, **({"email": acme.email} if acme.email else {})}]


def _plain(servings: Sequence[Serving]) -> list[Json]:
    """Over HTTP, whoever is known is sent to HTTPS."""
    hosts = sorted({one.route.host for one in servings})
    there = {"handler": "static_response", "status_code": 308, "headers": {"Location": [_https()]}}
    return [*([{"match": [{"host": hosts}], "handle": [there], "terminal": True}] if hosts else []), _said(404, NOBODY)]


def _https() -> str:
    return "https://{http.request.host}{http.request.uri}"


def _secure(servings: Sequence[Serving], *, old: bool) -> list[Json]:
    """One for each host, so that a path of one host hides nothing of `*.` another."""
    found = []
    for host, group in groupby(servings, key=lambda one: one.route.host):
        inside = [_path(one, old=old) for one in group]
        handle = {"handler": "subroute", "routes": [*inside, _said(404, NOBODY)]}
        found.append({"match": [{"host": [host]}], "handle": [handle], "terminal": True})
    return found


def _path(one: Serving, *, old: bool) -> Json:
    path = one.route.path
    match = {"match": [{"path": [path, f"{path}/*"]}]} if path else {}
    handle = _proxy(one, old=old) if one.upstreams else _said(503, NONE_READY.format(one.app))["handle"][0]
    return {**match, "handle": [handle], "terminal": True}


def _last_tries(servings: Sequence[Serving], *, old: bool) -> list[Json]:
    """Of one host in the order of its paths, so that a longer one does not fall to a shorter one.

    On a machine that is overloaded for a moment, checks fail and first packets are lost, of all upstreams at once: nobody is
    refused for that. And a change ends the tries of the requests that wait for another one: each of them would have a single
    last one, which may again be at the upstream that has just died. So every upstream has a step of its own."""
    found = []
    for host, group in groupby(servings, key=lambda one: one.route.host):
        inside = [{**_path(one, old=old), "handle": [_in_turn(one, old=old)]} for one in group]
        handle = {"handler": "subroute", "routes": inside}
        found.append({"match": [{"host": [host], "expression": NOT_LOST}], "handle": [handle], "terminal": True})
    return found


def _in_turn(one: Serving, *, old: bool) -> Json:
    """Each step asks one upstream, whatever its checks say; the next follows upon its failure."""
    step: Json = {"handler": "static_response", "status_code": "{http.error.status_code}"}
    for upstream in reversed(across_nodes(one.upstreams)[:LAST_TRIES]):
        proxy = _proxy(one._replace(upstreams=(upstream,)), old=old)
        asked = {name: value for name, value in proxy.items() if name not in ("load_balancing", "health_checks")}
        after = {"routes": [{"match": [{"expression": NOT_LOST}], "handle": [step]}]}
        step = {"handler": "subroute", "routes": [{"handle": [asked]}], "errors": after}
    return step


def across_nodes(upstreams: Sequence[Upstream]) -> list[Upstream]:
    """One of each node first: a node that is gone takes one step."""
    turns: defaultdict[str, count[int]] = defaultdict(count)
    return sorted(upstreams, key=lambda one: next(turns[one.node]))


def _proxy(one: Serving, *, old: bool) -> Json:
    checks: Json = {"passive": {"fail_duration": PASSED_OVER, "max_fails": MOST_FAILS}}
    if one.check:
        within = f"{max(CHECKED_WITHIN, one.within) * 1000:.0f}ms"
        checks["active"] = {"uri": one.check, "interval": CHECKED_EVERY, "timeout": within}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream.address} for upstream in one.upstreams],
        "load_balancing": {
            "selection_policy": {"policy": "least_conn"},
            "try_duration": TRY_FOR,
            "try_interval": "50ms",
            "retry_match": [{"method": list(AGAIN)}],
        },
        "health_checks": checks,
        "transport": {"protocol": "http", "dial_timeout": DIALLED_WITHIN},
        "headers": {"request": CLIENT},
        **({STREAMS: STREAMS_FOR} if not old else {}),
    }


def _said(status: int, words: str) -> Json:
    headers = {"Content-Type": ["text/plain; charset=utf-8"]}
    return {"handle": [{"handler": "static_response", "status_code": status, "headers": headers, "body": words}]}
