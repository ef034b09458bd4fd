"""What a front on an edge host is told, and which nodes run one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from duckconf.acme import INTERNAL, Acme
from duckconf.edge_config import STREAMS, document
from duckconf.errors import BadInput
from duckconf.front import Copy, Serving, Upstream, from_json, servings, to_json
from duckconf.front_kinds import parse_route
from duckconf.inventory import Inventory, read_inventory
from duckconf.model import parse_app


def serving(route: str, app: str, *addresses: str) -> Serving:
    return Serving(parse_route(route), app, tuple(Upstream(app, "n1", f"duckconf-{app}", address) for address in addresses))


def inventory(groups: dict[str, list[str]], **variables: Any) -> Inventory:
    return read_inventory({"groups": groups, "hosts": {"n1": variables, "n2": {}, "n3": {}}})


def test_the_front_has_a_route_for_each_path_and_refuses_what_it_does_not_know() -> None:
    served = [serving("a.example.org/api", "api", "192.0.2.1:80"), serving("a.example.org", "web", "192.0.2.2:80")]
    servers = document(served, (), Acme())["apps"]["http"]["servers"]
    (host, unknown) = servers["secure"]["routes"]
    inside = host["handle"][0]["routes"]
    assert host["match"] == [{"host": ["a.example.org"]}]
    assert [route.get("match") for route in inside] == [[{"path": ["/api", "/api/*"]}], None, None]
    assert [route["handle"][0].get("status_code") for route in (*inside, unknown)] == [None, None, 404, 404]
    assert [one["dial"] for one in inside[0]["handle"][0]["upstreams"]] == ["192.0.2.1:80"]


def test_an_app_without_a_ready_instance_is_answered_for() -> None:
    servers = document([serving("a.example.org", "web")], (), Acme())["apps"]["http"]["servers"]
    answer = servers["secure"]["routes"][0]["handle"][0]["routes"][0]["handle"][0]
    assert (answer["status_code"], answer["body"]) == (503, "No instance of web is ready.\n")


def test_a_front_asks_the_health_check_of_an_app_that_is_a_request_to_the_port_of_the_route() -> None:
    fields = {"name": "web", "image": "web", "ports": ["80", "81"], "routes": ["a.example.org=80", "b.example.org=81"]}
    app = parse_app({**fields, "healthcheck": {"http": "/up:80"}})
    copies = [Copy("web", 1, "n1", "duckconf-web", ("1080:80", "1081:81"))]
    found = servings([app], copies, str)
    routes = document(found, (), Acme())["apps"]["http"]["servers"]["secure"]["routes"]
    proxies = [route["handle"][0]["routes"][0]["handle"][0] for route in routes[:2]]
    assert [proxy["health_checks"].get("active", {}).get("uri") for proxy in proxies] == ["/up", None]
    assert [one.check for one in map(from_json, map(to_json, found))] == ["/up", ""]


def test_a_check_may_take_as_long_as_the_app_says_and_never_less_than_a_moment() -> None:
    def within(**check: str) -> str:
        fields = {"name": "web", "image": "web", "ports": ["80"], "routes": ["a.example.org"]}
        app = parse_app({**fields, "healthcheck": {"http": "/up:80", **check}})
        found = servings([app], [Copy("web", 1, "n1", "duckconf-web", ("1080:80",))], str)
        again = [from_json(to_json(one)) for one in found]
        assert again == found
        proxy = document(again, (), Acme())["apps"]["http"]["servers"]["secure"]["routes"][0]["handle"][0]["routes"][0]["handle"][
            0
        ]
        return str(proxy["health_checks"]["active"]["timeout"])

    assert [within(), within(timeout="2s"), within(timeout="100ms")] == ["650ms", "2000ms", "650ms"]


def test_an_upstream_that_its_checks_pass_over_is_asked_when_no_other_is_left() -> None:
    served = [serving("a.example.org/api", "api", "192.0.2.1:80"), serving("a.example.org", "web")]
    (route,) = document(served, (), Acme())["apps"]["http"]["servers"]["secure"]["errors"]["routes"]
    (who,) = route["match"]
    assert who["host"] == ["a.example.org"]
    api, web = route["handle"][0]["routes"]
    assert api["match"] == [{"path": ["/api", "/api/*"]}]
    # A longer path of the same host must not fall to a shorter one.
    assert (web["handle"][0]["handler"], api["terminal"], web["terminal"]) == ("static_response", True, True)


def test_each_upstream_is_asked_in_a_step_of_its_own_and_first_one_of_each_node() -> None:
    nodes = ("n1", "n1", "n1", "n2", "n3", "n3")
    upstreams = tuple(Upstream("web", node, f"c{number}", f"192.0.2.{number}:80") for number, node in enumerate(nodes))
    found = document([Serving(parse_route("a.example.org"), "web", upstreams, "/up")], (), Acme())
    step = found["apps"]["http"]["servers"]["secure"]["errors"]["routes"][0]["handle"][0]["routes"][0]["handle"][0]
    asked = []
    while step["handler"] == "subroute":
        (proxy,) = step["routes"][0]["handle"]
        asked += [one["dial"] for one in proxy["upstreams"]]
        assert {"health_checks", "load_balancing"}.isdisjoint(proxy)
        (after,) = step["errors"]["routes"]
        step = after["handle"][0]
    assert asked == ["192.0.2.0:80", "192.0.2.3:80", "192.0.2.4:80", "192.0.2.1:80"]


def test_a_client_says_nothing_of_who_it_is_and_has_some_time_for_the_head_of_a_request() -> None:
    found = document([serving("a.example.org", "web", "192.0.2.2:80")], (), Acme())["apps"]["http"]["servers"]
    secure = found["secure"]
    proxy, step = (some[0]["handle"][0]["routes"][0]["handle"][0] for some in (secure["routes"], secure["errors"]["routes"]))
    for told in (proxy["headers"]["request"], step["routes"][0]["handle"][0]["headers"]["request"]):
        assert told["set"]["X-Real-Ip"] == ["{http.request.remote.host}"]
        assert "Forwarded" in told["delete"]
    assert [found[name]["read_header_timeout"] for name in ("plain", "secure")] == ["20s", "20s"]


def test_what_leaves_is_named_where_nobody_reaches_it() -> None:
    found = document([serving("a.example.org", "web", "192.0.2.2:80")], {"192.0.2.1:80"}, Acme())
    parked = found["apps"]["http"]["servers"]["parked"]
    assert parked["listen"] == ["unix//run/duckconf-edge/parked.sock"]
    assert "192.0.2.1:80" not in json.dumps({**found["apps"]["http"]["servers"], "parked": None})


def test_without_a_route_no_certificate_is_asked_for() -> None:
    found = document([], (), Acme("internal"))
    assert list(found["apps"]["http"]["servers"]) == ["plain"]
    assert "tls" not in found["apps"]


@pytest.mark.parametrize(
    ("acme", "issuer"),
    [
        (Acme(), {"module": "acme"}),
        (Acme("internal"), {"module": "internal"}),
        (Acme("https://ca.example", "me@example.org"), {"module": "acme", "ca": "https://ca.example", "email": "me@example.org"}),
    ],
)  # fmt: skip
def test_certificates_come_from_where_the_inventory_says(acme: Acme, issuer: dict[str, str]) -> None:
    found = document([serving("a.example.org", "web")], (), acme)
    assert found["apps"]["tls"]["automation"]["policies"] == [{"issuers": [issuer]}]


def test_an_old_caddy_is_not_told_how_long_streams_may_go_on() -> None:
    served = [serving("a.example.org", "web", "192.0.2.2:80")]
    assert STREAMS in json.dumps(document(served, (), Acme()))
    assert STREAMS not in json.dumps(document(served, (), Acme(), old=True))


@pytest.mark.parametrize(
    ("acme", "subjects"),
    [(Acme(), ["a.example.org"]), (Acme(INTERNAL), ["*.example.org", "a.example.org", "shop.local"])],
)  # fmt: skip
def test_an_old_caddy_loads_the_certificates_that_it_has_during_handshakes_and_obtains_the_others_ahead(
    acme: Acme, subjects: list[str]
) -> None:
    hosts = ("a.example.org", "new.example.org", "shop.local", "*.example.org")
    served = [serving(host, "web", "192.0.2.2:80") for host in hosts]
    certified = {*hosts, "gone.example.org"} - {"new.example.org"}
    loaded, rest = document(served, (), acme, certified=certified, old=True)["apps"]["tls"]["automation"]["policies"]
    assert (loaded["subjects"], loaded["on_demand"]) == (subjects, True)
    assert (rest.keys(), rest["issuers"]) == ({"issuers"}, loaded["issuers"])
    assert document(served, (), acme, certified=certified) == document(served, (), acme)


@pytest.mark.parametrize("routes", [[], ["a.example.org"]])
def test_each_document_of_an_old_caddy_has_a_rate_limit_because_it_panics_when_one_goes(routes: list[str]) -> None:
    served = [serving(route, "web", "192.0.2.2:80") for route in routes]
    assert document(served, (), Acme(), old=True)["apps"]["tls"]["automation"]["on_demand"]["rate_limit"]["burst"] > 0


def test_nobody_runs_a_front_unless_the_inventory_says_so() -> None:
    assert inventory({"nodes": ["n1", "n2"]}).edges == []
    assert inventory({"nodes": ["n1", "n2"]}, duckconf_edge=True).edges == ["n1"]
    assert inventory({"nodes": ["n1", "n2"], "edge": ["n2"]}).edges == ["n2"]


def test_a_front_runs_on_a_node() -> None:
    with pytest.raises(BadInput, match="group edge: n3 should be in the group nodes too"):
        inventory({"nodes": ["n1"], "edge": ["n3"]})


@pytest.mark.parametrize(
    ("name", "value"), [("duckconf_acme", "letsencrypt"), ("duckconf_acme_email", "me"), ("duckconf_edge", "on")]
)
def test_a_host_whose_front_cannot_be_as_it_says_is_refused(name: str, value: str) -> None:
    refused = inventory({"nodes": ["n1"]}, **{name: value}).hosts["n1"].refused
    assert refused is not None
    assert name in refused.reason
