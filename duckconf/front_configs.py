"""The configuration of somebody's own front for what Duckconf serves: a Caddyfile, or haproxy.cfg. Pure.

Both retry a request that no upstream has answered yet on the next one, and leave out an upstream that does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from duckconf.front import Serving

NONE_READY = "no instance of {} is ready"
HEAD = "# What Duckconf serves now: ./inv export {} writes it anew after a change."


def caddyfile(servings: Sequence[Serving]) -> str:
    """For Caddy 2; it gets certificates for the hosts by itself."""
    blocks = [_caddy_host(host, list(group)) for host, group in groupby(servings, key=lambda one: one.route.host)]
    return "\n\n".join([HEAD.format("caddy"), *blocks]) + "\n"


def _caddy_host(host: str, servings: Sequence[Serving]) -> str:
    lines = [f"{host} {{"]
    for number, one in enumerate(servings, 1):
        matcher = f"@{number} " if one.route.path else ""
        lines += [f"\t@{number} path {one.route.path} {one.route.path}/*"] if matcher else []
        lines += [f"\thandle {matcher}{{", *_caddy_upstreams(one), "\t}"]
    if all(one.route.path for one in servings):
        lines += ["\thandle {", "\t\trespond 404", "\t}"]
    return "\n".join([*lines, "}"])


def _caddy_upstreams(serving: Serving) -> list[str]:
    if not serving.upstreams:
        return [f'\t\trespond "{NONE_READY.format(serving.app)}" 503']
    addresses = " ".join(one.address for one in serving.upstreams)
    options = ("lb_policy least_conn", "lb_try_duration 5s", "fail_duration 10s", "transport http {", "\tdial_timeout 1s", "}")
    return [f"\t\treverse_proxy {addresses} {{", *(f"\t\t\t{option}" for option in options), "\t\t}"]


def haproxy(servings: Sequence[Serving]) -> str:
    """Whole: HTTP on port 80. Certificates are for its owner to add."""
    return "\n".join([HEAD.format("haproxy"), *DEFAULTS, "", *_frontend(servings), *_backends(servings), ""])


DEFAULTS = (
    "defaults",
    "    mode http",
    "    timeout connect 1s",
    "    timeout client 1m",
    "    timeout server 1m",
    "    timeout tunnel 1h",
    "    option forwardfor",
    "    retries 3",
    "    option redispatch 1",
    "    retry-on conn-failure empty-response response-timeout",
)


def _frontend(servings: Sequence[Serving]) -> Iterable[str]:
    yield "frontend duckconf"
    yield "    bind :80,[::]:80 v6only"
    for number, one in enumerate(servings, 1):
        host = f"-m end -i .{one.route.host[2:]}" if one.route.host.startswith("*.") else f"-i {one.route.host}"
        yield f"    acl host{number} hdr(host),field(1,:) {host}"
        path = one.route.path
        yield from [f"    acl path{number} path {path}", f"    acl path{number} path_beg {path}/"] if path else []
        yield f"    use_backend app{number} if host{number}" + (f" path{number}" if path else "")


def _backends(servings: Sequence[Serving]) -> Iterable[str]:
    for number, one in enumerate(servings, 1):
        yield ""
        yield f"# {one.route.where}: {one.app}"
        yield f"backend app{number}"
        yield "    balance leastconn"
        yield from (f"    server {each.container} {each.address} check inter 1s fall 1 rise 1" for each in one.upstreams)
