"""Which addresses apps may have, what serves them now, and what fronts are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.errors import BadInput
from duckconf.front import Copy, Serving, claims, from_json, revision, servings, to_json
from duckconf.front_configs import caddyfile, haproxy
from duckconf.front_kinds import Route, parse_route
from duckconf.model import App, parse_app

ADDRESSES = {"n1": "192.0.2.1", "n2": "2001:db8::2"}


def copy(app: str, slot: int = 1, node: str = "n1", port: str = "32768:80", container: str = "") -> Copy:
    return Copy(app, slot, node, container or f"duckconf-{app}_{slot}", (port,))


def served(apps: list[App], *copies: Copy) -> list[Serving]:
    return servings(apps, copies, ADDRESSES.__getitem__)


def test_what_a_node_reports_leads_no_front_to_itself() -> None:
    """A node that somebody took over could lead a front to what listens on its loopback, or to the metadata of a cloud."""
    fields = {"name": "web", "image": "web", "routes": ["a.example.org"]}
    for ports, reported, address in [
        (["80"], "127.0.0.1:9000:80", "192.0.2.1:9000"),
        (["80"], "169.254.169.254:80:80", "192.0.2.1:80"),
        (["80"], "[::1]:9000:80", "192.0.2.1:9000"),
        (["198.51.100.7:8080:80"], "198.51.100.7:8080:80", "198.51.100.7:8080"),
    ]:
        (found,) = served([parse_app({**fields, "ports": ports})], copy("web", port=reported))
        assert [one.address for one in found.upstreams] == [address]


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("Shop.Example.org", Route("shop.example.org")),
        ("shop.example.org/", Route("shop.example.org")),
        ("shop.example.org//api//=8080", Route("shop.example.org", "/api", 8080)),
        ("*.example.org/A-b_c~d", Route("*.example.org", "/A-b_c~d")),
        ("localhost=80", Route("localhost", "", 80)),
    ],
)
def test_a_route_is_read_in_one_spelling(text: str, route: Route) -> None:
    assert parse_route(text) == route
    assert parse_route(str(route)) == route


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "https://shop.example.org", "shop example.org", "shop.example.org:80", "a..b", "-a.b", "a.*.b", "*", "*.",
        "a/b c", "a/{x}", "a/`x`", "a=0", "a=65536", "a=http", 'a/"', "a\nb", "ä.example.org", "a" * 64,
        ".".join(["abcd"] * 60), 7, None,
    ],
)  # fmt: skip
def test_what_is_no_route_is_refused_with_what_would_be_right(text: Any) -> None:
    with pytest.raises(ValueError, match="should be HOST"):
        parse_route(text)


@given(st.text(max_size=40) | st.from_regex(r"[a-z.*-]{1,20}/[ -~]{0,20}(=[0-9]{1,6})?", fullmatch=True))
def test_whatever_is_typed_is_read_or_refused_and_never_breaks_a_configuration(text: str) -> None:
    try:
        route = parse_route(text)
    except ValueError:
        return
    assert not set(route.where) & set(' \t\r\n{}"`#\\<>^|')
    assert parse_route(str(route)) == route


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"routes": ["a.example.org"]}, "needs a published port: add 80 to ports"),
        ({"routes": ["a.example.org=5432"]}, "needs a published port: add 5432 to ports"),
        ({"routes": ["a.example.org"], "ports": ["80", "81"]}, "should name a port that the app publishes, with =PORT: 80, 81"),
        ({"routes": ["a.example.org=82"], "ports": ["80-81"]}, "with =PORT: 80, 81"),
        ({"routes": ["a.example.org"], "ports": ["53/udp"]}, "needs a published port"),
        ({"routes": ["a.example.org"], "ports": ["127.0.0.1:8080:80"]}, "which only the node itself reaches"),
        ({"routes": ["a.example.org"], "network_mode": "host"}, "should name the port with =PORT"),
        ({"routes": ["a.example.org=1", "A.example.org/=1"], "network_mode": "host"}, "stands twice: a.example.org"),
        ({"routes": "http://x", "ports": ["80"]}, "should be HOST"),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_app({"image": "x", **fields})
    assert words in str(refused.value)
    assert {fault.path.partition("/")[0] for fault in refused.value.faults} == {"routes"}


def test_the_containers_that_are_ready_serve_at_the_ports_that_the_engines_chose() -> None:
    web = App("web", "web", ports=("80", "9000-9001"), routes=("shop.example.org=80", "shop.example.org/admin=9001"))
    two = Copy("web", 2, "n2", "duckconf-web_2", ("[2001:db8::9]:8000-8001:9000-9001", "32769:80"))
    found = served([web], copy("web"), two, copy("other"))
    assert [(one.route.where, [upstream.address for upstream in one.upstreams]) for one in found] == [
        ("shop.example.org/admin", ["[2001:db8::9]:8001"]),
        ("shop.example.org", ["192.0.2.1:32768", "[2001:db8::2]:32769"]),
    ]
    assert [from_json(to_json(one)).upstreams for one in found] == [one.upstreams for one in found]


def test_an_app_on_the_nodes_network_serves_at_its_own_port() -> None:
    app = App("web", "web", network_mode="host", routes=("a.example.org=8080",))
    (found,) = served([app], Copy("web", 1, "n1", "duckconf-web", ()))
    assert [upstream.address for upstream in found.upstreams] == ["192.0.2.1:8080"]


def test_old_and_new_containers_of_an_instance_serve_side_by_side_and_the_revision_tells_of_each_change() -> None:
    web = App("web", "web", ports=("80",), routes=("a.example.org",))
    old, new = copy("web"), copy("web", port="32999:80", container="duckconf-web.2")
    seen = {revision(served([web], *copies)) for copies in ((), (old,), (old, new), (new,))}
    assert len(seen) == 4
    assert revision(served([web], old, new)) == revision(served([web], new, old))


def test_one_address_leads_to_one_app() -> None:
    one = App("x", "one", ports=("80",), routes=("a.example.org/b", "c.example.org"))
    two = App("x", "two", ports=("80",), routes=("a.example.org/b", "a.example.org"))
    assert claims(two, [one, two]) == {"a.example.org/b": "one"}
    assert claims(one, [one]) == {}
    assert [(item.route.where, item.app) for item in served([two, one])] == [
        ("a.example.org/b", "one"),
        ("a.example.org", "two"),
        ("c.example.org", "one"),
    ]


def test_a_front_of_somebodys_own_is_told_the_longest_path_first_and_what_nothing_serves() -> None:
    web = App("web", "web", ports=("80",), routes=("shop.example.org", "*.example.net/x"))
    api = App("api", "api", ports=("80",), routes=("shop.example.org/api",))
    found = served([web, api], copy("web"), copy("web", 2, "n2"))
    caddy = caddyfile(found)
    assert caddy.index("@1 path /api /api/*") < caddy.index("reverse_proxy 192.0.2.1:32768 [2001:db8::2]:32768 {")
    assert 'respond "no instance of api is ready" 503' in caddy
    assert caddy.count("respond 404") == 1
    proxy = haproxy(found)
    assert "acl host3 hdr(host),field(1,:) -m end -i .example.net" in proxy
    assert "server duckconf-web_2 [2001:db8::2]:32768 check" in proxy
    assert proxy.index("use_backend app1 if host1 path1") < proxy.index("use_backend app2 if host2\n")


@pytest.mark.parametrize(
    "labels",
    [
        {"duckconf.route": "a.example.org, b.example.org/x", "team": "x"},
        ["duckconf.route=a.example.org b.example.org/x", "team=x"],
    ],
)
def test_the_label_of_a_compose_file_says_the_same(labels: Any) -> None:
    app = parse_app({"image": "x", "ports": ["80"], "labels": labels})
    assert (app.routes, dict(app.labels)) == (("a.example.org", "b.example.org/x"), {"team": "x"})


def test_what_is_wrong_with_the_label_is_told() -> None:
    with pytest.raises(BadInput, match="should be HOST"):
        parse_app({"image": "x", "ports": ["80"], "labels": {"duckconf.route": "http://x"}})
    with pytest.raises(BadInput, match="reserved"):
        parse_app({"image": "x", "ports": ["80"], "routes": ["a.b"], "labels": {"duckconf.route": "c.d"}})
