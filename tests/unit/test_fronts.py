"""What the keeper of a front tells Caddy and when, and what it knows of what leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from controllers import edge, front
from controllers.front import Keeper
from controllers.fronts import Fronts
from duckconf import edge_certificates
from duckconf.acme import LETS_ENCRYPT
from duckconf.command import Command, Completed
from duckconf.desired import Desired
from duckconf.edge_certificates import FIRST
from duckconf.edge_config import STREAMS
from duckconf.edge_turn import LOOK_EVERY
from duckconf.errors import NodeFailure, Unreachable
from duckconf.events import Event
from duckconf.front import Serving, Upstream
from duckconf.front_kinds import parse_route
from duckconf.front_seen import Beginning, routed, seen_in
from duckconf.instance import instances_of
from duckconf.leaving import Where
from duckconf.model import parse_app
from duckconf.overview import UNREACHABLE, AppView

HOST = "shop.example.org"
NAMES: dict[str, Where] = {"a:1": ("n1", "old"), "b:1": ("n2", "new")}


class Caddy:
    """A Caddy that says what it was told; `busy` are upstreams with a request under way."""

    def __init__(self) -> None:
        self.loads: list[dict[str, Any]] = []
        self.busy: set[str] = set()
        self.knows = ["a:1"]
        self.refuses = ""
        self.version = "v2.8.4 h1:q3pe0wpBj1OcHFZ3n/1nl4V4bxBrYoSoab7rL9BMYNk="
        self.certificates: dict[str, bool] = {}
        self.looked_at: list[str] = []
        self.away = False

    def run(self, command: Command) -> Completed:
        if self.away:
            raise Unreachable("n1", "does not answer")
        asked = json.loads(command.stdin)
        self.looked_at = asked["hosts"]
        text = json.dumps(asked["document"]) if asked["document"] else ""
        refused = self.refuses if text else ""
        if text and not refused:
            self.loads.append(asked["document"])
            self.knows = [known for known in NAMES if known in text]
        upstreams = [{"address": known, "num_requests": int(known in self.busy)} for known in self.knows]
        told = {host: good for host, good in self.certificates.items() if host in self.looked_at}
        version = self.version if asked["version"] else ""
        return Completed(
            0, json.dumps({"refused": refused, "upstreams": upstreams, "certificates": told, "version": version}), ""
        )

    def loaded_at_handshakes(self) -> list[str]:
        """As it was told last."""
        policies = self.loads[-1]["apps"]["tls"]["automation"]["policies"]
        return [host for policy in policies for host in policy.get("subjects", ())]


class Rig:
    def __init__(self) -> None:
        self.caddy, self.events, self.changes = Caddy(), list[Event](), 0
        self.keeper = Keeper("n1", LETS_ENCRYPT, lambda: self.caddy, self.changed, self.events.append)

    def changed(self) -> None:
        self.changes += 1

    def serves(self, *addresses: str) -> float | None:
        upstreams = tuple(Upstream("web", "n1", "c", address) for address in addresses)
        self.keeper.want([Serving(parse_route(HOST), "web", upstreams)], NAMES)
        return self.keeper._once()


def test_a_front_is_told_once_of_what_is_ready() -> None:
    rig = Rig()
    for _ in range(3):
        rig.serves("a:1")
    assert (len(rig.caddy.loads), set(rig.keeper.has())) == (1, {("n1", "old")})


def test_what_leaves_is_there_until_its_last_request_has_ended() -> None:
    rig = Rig()
    rig.serves("a:1")
    rig.caddy.busy = {"a:1"}
    for _ in range(2):
        assert rig.serves("b:1") == LOOK_EVERY
        assert set(rig.keeper.has()) == {("n1", "old"), ("n2", "new")}
    rig.caddy.busy = set()
    assert rig.keeper._once() is None
    assert (set(rig.keeper.has()), len(rig.caddy.loads)) == ({("n2", "new")}, 2)


def test_a_front_that_has_lost_what_it_was_told_is_told_again() -> None:
    rig = Rig()
    rig.serves("a:1")
    rig.keeper._check = True
    rig.keeper._once()
    assert rig.caddy.loads[0] == rig.caddy.loads[1]


class Server:
    """Ends the thread that reports by its first report."""

    def __init__(self, config: object) -> None: ...

    def call(self, verb: str, path: str, body: object) -> None:
        raise SystemExit(body)


def test_an_agent_does_not_say_that_its_front_has_nothing_before_it_was_told_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It did, on the way into agents mode: what the front still sent requests to was stopped."""
    rig, config = Rig(), Mock(node="n1")
    monkeypatch.setattr(edge, "Contact", Server)
    monkeypatch.setattr(edge, "TELL_EVERY", 0.0)
    agent, turns = edge.Edge(config, rig.caddy, rig.events.append), 0

    def is_told() -> bool:
        nonlocal turns
        turns += 1
        if turns == 2:
            rig.keeper.want([], NAMES)
        return Keeper.is_told(rig.keeper)

    monkeypatch.setattr(rig.keeper, "is_told", is_told)
    with pytest.raises(SystemExit) as ended:
        agent._report(rig.keeper)
    assert turns == 2
    assert str(ended.value) == str({"has": [list(where) for where in sorted(NAMES.values())]})


def test_of_a_front_that_was_never_asked_everything_counts_as_being_there() -> None:
    rig = Rig()
    rig.keeper.want([], NAMES)
    assert set(rig.keeper.has()) == set(NAMES.values())


def test_a_keeper_that_begins_anew_waits_for_what_its_front_still_has() -> None:
    rig = Rig()
    rig.caddy.busy = {"a:1"}
    assert rig.serves("b:1") == LOOK_EVERY
    assert set(rig.keeper.has()) == {("n1", "old"), ("n2", "new")}


def test_an_old_caddy_loads_a_certificate_during_handshakes_once_it_is_there_and_until_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    rig.caddy.version = "2.6.2"
    rig.caddy.knows = []
    assert (rig.serves("a:1"), rig.caddy.loaded_at_handshakes()) == (FIRST, [])
    rig.caddy.certificates = {HOST: True}
    assert rig.keeper._once() == LOOK_EVERY
    assert (rig.keeper._once(), rig.caddy.loaded_at_handshakes()) == (None, [HOST])
    rig.serves("a:1", "b:1")
    assert (rig.caddy.loaded_at_handshakes(), rig.caddy.looked_at) == ([HOST], [])
    monkeypatch.setattr(edge_certificates, "LOOK_AT_ALL", -1.0)
    rig.caddy.certificates = {HOST: False}
    rig.keeper._check = True
    rig.keeper._once()
    assert rig.caddy.loaded_at_handshakes() == []


def test_a_keeper_that_begins_anew_knows_the_certificates_before_it_tells_anything() -> None:
    rig = Rig()
    rig.caddy.version, rig.caddy.certificates = "2.6.2", {HOST: True}
    rig.serves("a:1")
    assert (len(rig.caddy.loads), rig.caddy.loaded_at_handshakes()) == (1, [HOST])


def test_a_caddy_that_refuses_its_document_may_be_another_one_meanwhile() -> None:
    rig = Rig()
    rig.caddy.version = "2.6.2"
    rig.serves("a:1")
    rig.caddy.version, rig.caddy.refuses = "2.8.4", "unknown field"
    rig.keeper._wanted = ()
    with pytest.raises(NodeFailure, match="Caddy refuses its configuration: unknown field"):
        rig.keeper._once()
    rig.caddy.refuses, rig.keeper._old = "", None
    rig.serves("a:1", "b:1")
    assert STREAMS in json.dumps(rig.caddy.loads[-1])


def test_a_new_caddy_is_not_asked_for_its_certificates_again() -> None:
    rig = Rig()
    rig.caddy.knows = []
    assert rig.serves("a:1") is None
    rig.serves("b:1")
    assert rig.caddy.looked_at == []


def test_a_front_that_does_not_answer_is_said_once_and_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.caddy.away = True
    with pytest.raises(Unreachable):
        rig.serves("a:1")
    for _ in range(2):
        rig.keeper._note("does not answer")
    assert set(rig.keeper.has()) == set(NAMES.values())
    monkeypatch.setattr(front, "GIVEN_UP", -1.0)
    assert set(rig.keeper.has()) == set()
    rig.keeper._note("")
    assert [event.kind for event in rig.events] == ["front-away", "front-back"]


def view(node: str, **more: Any) -> AppView:
    return AppView("web", node, "c", "web", "yes", more.pop("state", "running"), ports=["8080:80"], **more)


def test_a_silent_node_takes_nothing_from_an_app_that_nothing_else_serves() -> None:
    known = seen_in([view("n1", ready=True), view("n2", ready=True)], {}).ready
    one = seen_in([view("n1", ready=True), view("n2", state=UNREACHABLE)], known)
    none = seen_in([view("n1", state=UNREACHABLE), view("n2", state=UNREACHABLE)], known)
    assert [copy.node for copy in one.served()] == ["n1"]
    assert [copy.node for copy in none.served()] == ["n1", "n2"]
    assert not none.unheard
    assert seen_in([view("n1", state=UNREACHABLE)], {}).unheard


def test_instances_whose_checks_fail_are_served_while_those_of_most_fail() -> None:
    def look(*health: str, started: float = 5.0) -> list[AppView]:
        return [view(f"n{n}", health=one, ready=one == "healthy", started=started) for n, one in enumerate(health, 1)]

    known = seen_in(look("healthy", "healthy", "healthy", "starting"), {}).ready
    none = seen_in(look("unhealthy", "unhealthy", "unhealthy", "unhealthy"), known)
    one = seen_in(look("unhealthy", "healthy", "unhealthy", "unhealthy"), known)
    most = seen_in(look("healthy", "healthy", "unhealthy"), known)
    assert [copy.node for copy in none.served()] == ["n1", "n2", "n3"]
    assert sorted(copy.node for copy in one.served()) == ["n1", "n2", "n3"]
    assert [copy.node for copy in most.served()] == ["n1", "n2"]
    assert list(seen_in(look("unhealthy", "unhealthy", started=9.0), known).served()) == []
    assert list(seen_in([replace(item, leaving=True) for item in look("unhealthy", "unhealthy")], known).served()) == []


def test_who_checks_may_begin_anew_and_a_container_that_began_anew_is_checked_first() -> None:
    known = seen_in([view("n1", ready=True, started=5.0, health="healthy")], {}).ready
    again = [view("n1", started=5.0, health="starting")], [view("n1", started=9.0, health="starting")]
    assert [len(seen_in(views, known).ready) for views in again] == [1, 0]


def test_who_begins_waits_for_all_nodes_and_then_for_a_while_for_the_checks_of_what_was_there() -> None:
    unheard, unchecked = seen_in([view("n1", state=UNREACHABLE)], {}), seen_in([view("n1", health="starting")], {})
    seen = [(unheard, 100.0), (unheard, 200.0), (unchecked, 201.0), (unchecked, 215.0), (unchecked, 216.0), (unheard, 217.0)]
    slow, quick, later = Beginning(), Beginning(), Beginning()
    assert [slow.is_over(one, now) for one, now in seen] == [False, False, False, False, True, True]
    assert quick.is_over(seen_in([view("n1", ready=True)], {}), 0.0)
    started_later = seen_in([view("n1", ready=True), view("n2", health="starting")], {})
    assert [later.is_over(one, 1.0) for one in (unchecked, started_later)] == [False, True]


def test_a_route_whose_row_cannot_be_read_stays_as_it_was() -> None:
    app = parse_app({"name": "web", "image": "web", "ports": ["80"], "routes": ["shop.example.org"]})
    before = routed(Desired(instances_of([app])), {})
    assert routed(Desired({}, unreadable=frozenset({"web"})), before) == {"web": app}
    assert routed(Desired({}), before) == {}


def test_nothing_has_time_to_leave_before_every_front_is_told_of_changes() -> None:
    rig = Rig()
    fronts = Fronts(lambda node: rig.caddy, rig.changed, rig.events.append)
    assert fronts.fronted().told
    fronts._keepers = {("n1", LETS_ENCRYPT): rig.keeper}
    assert not fronts.fronted().told
    rig.keeper.want([], NAMES)
    assert fronts.fronted() == (frozenset(NAMES.values()), True)


def test_nothing_is_told_before_all_nodes_were_heard_and_all_checks_seen() -> None:
    rig, app = Rig(), parse_app({"name": "web", "image": "web", "ports": ["80"], "routes": ["shop.example.org"]})
    fronts = Fronts(lambda node: rig.caddy, rig.changed, rig.events.append)
    told: list[Sequence[Serving]] = []

    class Listening(Keeper):
        def want(self, servings: Sequence[Serving], names: Any) -> None:
            told.append(servings)

    fronts._keepers = {("n1", LETS_ENCRYPT): Listening("n1", LETS_ENCRYPT, lambda: rig.caddy, rig.changed, rig.events.append)}
    desired = Desired(instances_of([app]))
    for unknown in (view("n2", state=UNREACHABLE), view("n2", health="starting")):
        fronts.serve(desired, [view("n1", ready=True), unknown], {})
    assert told == []
    fronts.serve(desired, [view("n1", ready=True), view("n2", state="lost")], {"n1": "192.0.2.1"})
    assert [upstream.address for upstream in told[0][0].upstreams] == ["192.0.2.1:8080"]
