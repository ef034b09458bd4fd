"""The routes for nodes in agents mode: agents say that they live and what they see; the operator looks and cordons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.auth import caller, require_node, require_operator
from api.body import LARGE_BODY, body, is_wish, query, seconds, whole
from api.held import HeldRequests
from api.stores.nodes import NodeBook, Report, Seen
from api.stores.placed import PlacedIndex
from duckconf.actions import Pin
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.facts import facts_from_json
from duckconf.pins import Key
from duckconf.reach.state.fence import current
from duckconf.refusal import Refusal, refusal_from_json, refusal_to_json
from duckconf.told_image import pin_from_json

Record = Callable[[str, Iterable[Seen]], None]
Learn = Callable[[str, Mapping[Key, Pin]], None]
Hear = Callable[[str, Any, Report], None]

LONGEST_INSTANCE = 200
LONGEST_REASON = 500
MOST_EVENTS = 200


@dataclass(frozen=True)
class Routes:
    """What is asked of the nodes; the routes for it are in `blueprint`. Agents should be heard every `interval` seconds. `record`
    is given what each heartbeat tells of containers, `learn` what it tells of images; `fronts` has what a node is told of the
    fronts."""

    index: PlacedIndex
    nodes: NodeBook
    interval: float
    tell: Callable[[Event], str]
    held: HeldRequests
    record: Record
    learn: Learn
    fronts: Callable[[str], Mapping[str, object]]
    relay: Hear
    """Given each heartbeat, as it was told and as it was understood."""
    look: Record
    """Given what nodes told other servers of containers."""
    catch_up: Callable[[], None]
    """Knows all that was acknowledged anywhere; raises what the fence of the thread raises then, NotNow."""

    def heartbeat(self, name: str) -> Response:
        require_node(name)
        self.nodes.require(name)
        request.max_content_length = LARGE_BODY
        told = body()
        report = read_report(name, told)
        heard, before = self.nodes.heartbeat(name, report)
        self.record(name, self.nodes.nodes[name].containers)
        self.index.report(name, before, self.nodes.nodes[name].containers)
        self.learn(name, report.images or {})
        self.relay(name, told, report)
        return jsonify(node=name, heartbeat=heard, interval=self.interval, **self.fronts(name))

    def take(self, name: str, told: object) -> None:
        """What the node told another server, which has done about it what is done once. Raises BadInput."""
        if name in self.nodes.nodes:
            before = self.nodes.told(name, read_report(name, told))
            self.index.report(name, before, self.nodes.nodes[name].containers)
            self.look(name, self.nodes.nodes[name].containers)

    def listing(self) -> Response:
        require_operator()
        query("since", "wait", "facts")
        patience, since, facts = seconds("wait"), whole("since", -1), request.args.get("facts") == "true"
        with self.held.up_to(patience if since >= 0 else 0) as allowed:
            revision = self.nodes.wait(since, allowed)
        rows = [_row(name, self.nodes, self.index, facts=facts) for name in self.nodes.nodes]
        return jsonify(revision=revision, node_timeout=self.nodes.timeout, nodes=rows)

    def change(self, name: str) -> Response:
        require_operator()
        self.nodes.require(name)
        wanted = body()
        if is_wish(wanted, "again"):
            self._try_again(name)
            return jsonify(_row(name, self.nodes, self.index))
        if is_wish(wanted, "draining"):
            if self.nodes.drain(name):
                self.tell(Event("draining", f"{name} is drained: its apps move to other nodes", node=name))
            return jsonify(_row(name, self.nodes, self.index))
        if not isinstance(wanted, Mapping) or set(wanted) != {"cordoned"} or not isinstance(wanted["cordoned"], bool):
            what = (
                'should be true or false, as in {"cordoned": true}; {"draining": true} moves its apps to other nodes, and '
                '{"again": true} ends the pauses of what the node refused'
            )
            raise BadInput(Fault("cordoned", what))
        if not wanted["cordoned"]:
            self._try_again(name)
        if self.nodes.cordon(name, cordoned=wanted["cordoned"]):
            state = "cordoned" if wanted["cordoned"] else "uncordoned"
            self.tell(Event(state, f"{name} is {state}", node=name))
        return jsonify(_row(name, self.nodes, self.index))

    def _try_again(self, name: str) -> None:
        self.nodes.try_again(name)
        self.index.wake(name)

    def events(self) -> Response:
        """What the other components have to tell; the answer has the id that each event goes back to."""
        told = body()
        entries = told.get("events") if isinstance(told, Mapping) else None
        if not isinstance(entries, list) or len(entries) > MOST_EVENTS:
            raise BadInput(Fault("events", f"should be a list of at most {MOST_EVENTS} events"))
        if current() is not None:
            # Nothing is written that the fence of a leader would be checked with.
            self.catch_up()
        ids: list[str] = []
        for number, entry in enumerate(entries):
            event = _event(number, entry, caller().node)
            known = event.kind == "pending" and event.app and not self.index.waits(event.instance or event.app, event.message)
            ids.append("" if known else self.tell(event))
        return jsonify(events=len(entries), ids=ids)


def blueprint(served: Routes) -> Blueprint:
    routes = Blueprint("nodes", __name__)
    routes.put("/node/<name>/heartbeat")(served.heartbeat)
    routes.get("/nodes")(served.listing)
    routes.put("/node/<name>")(served.change)
    routes.post("/events")(served.events)
    return routes


def _row(name: str, nodes: NodeBook, index: PlacedIndex, *, facts: bool = False) -> dict[str, Any]:
    node = nodes.nodes[name]
    row = {"name": name, "status": nodes.status(name), "heartbeat": node.heartbeat, "age": round(nodes.age(name), 3)}
    refusals = [refusal_to_json(item, item.until - left) for item, left in nodes.refusals(name)]
    full = any(item.of_node for item, _ in nodes.refusals(name))
    row |= {"apps": index.count(name), "cordoned": node.cordoned, "full": full, "ports": index.given.ports(name)}
    row |= {"reserved": index.given.reserved(name), "zone": index.sites.zone(name)}
    row |= {"refusals": refusals, "unreadable": node.unreadable} | ({"draining": True} if node.draining else {})
    return row | node.facts.to_json() if facts else row


def read_report(node: str, told: object) -> Report:
    """What a heartbeat tells. Raises BadInput."""
    if not isinstance(told, Mapping) or not isinstance(told.get("instance"), str):
        raise BadInput(Fault("instance", "should be a text that identifies this agent"))
    facts = told.get("facts", {})
    if not isinstance(facts, Mapping):
        raise BadInput(Fault("facts", f"should be an object, got {facts!r}"))
    try:
        known = facts_from_json(facts)
    except ValueError as error:
        raise BadInput(Fault("facts", str(error))) from None
    containers, refusals = _containers(told.get("containers", [])), _refusals(node, told.get("refusals", []))
    return Report(
        told["instance"][:LONGEST_INSTANCE],
        containers,
        refusals,
        known,
        str(told.get("unreadable", ""))[:LONGEST_REASON],
        _images(told["images"]) if "images" in told else None,
    )


def _images(entries: object) -> dict[Key, Pin]:
    if not isinstance(entries, list):
        raise BadInput(Fault("images", "should be a list of the images of revisions"))
    found = {}
    for number, entry in enumerate(entries):
        try:
            found[str(entry["app"]), str(entry["spec"])] = pin_from_json(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"should have app, spec, image_id and perhaps digests: {type(error).__name__} {error}"
            raise BadInput(Fault(f"images/{number}", what)) from None
    return found


def _refusals(node: str, entries: object) -> tuple[Refusal, ...]:
    if not isinstance(entries, list):
        raise BadInput(Fault("refusals", "should be a list of what the node's engine refused to run"))
    found = []
    for number, entry in enumerate(entries):
        try:
            found.append(refusal_from_json(node, entry, 0.0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"should have app, spec, kind, reason and wait: {type(error).__name__} {error}"
            raise BadInput(Fault(f"refusals/{number}", what)) from None
    return tuple(found)


def _containers(entries: object) -> tuple[Seen, ...]:
    if not isinstance(entries, list):
        raise BadInput(Fault("containers", "should be a list of what runs on the node"))
    found = []
    for number, entry in enumerate(entries):
        try:
            values: dict[str, Any] = {key: str(entry[key]) for key in ("app", "container", "state")}
            values |= {key: str(entry.get(key, "")) for key in ("image", "image_id", "spec", "note", "health", "end")}
            values |= {key: str(entry.get(key, ""))[:LONGEST_REASON] for key in ("failed", "failure", "said")}
            values |= {"steady": bool(entry["ready"])} if "ready" in entry else {}
            values["leaving"] = bool(entry.get("leaving"))
            values |= {key: int(entry.get(key, 0)) for key in ("generation", "restarts")} | {"slot": int(entry.get("slot", 1))}
            ports = tuple(str(port) for port in entry.get("ports", ()))
            found.append(Seen(**values, started=float(entry.get("started", 0)), ports=ports))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"should have app, container and state: {type(error).__name__} {error}"
            raise BadInput(Fault(f"containers/{number}", what)) from None
    return tuple(found)


def _event(number: int, entry: object, node: str) -> Event:
    texts = (
        {key: entry.get(key, "") for key in ("kind", "message", "app", "instance", "node", "source")}
        if isinstance(entry, Mapping)
        else {}
    )
    if not texts or not all(isinstance(text, str) and len(text) < 2000 for text in texts.values()) or not texts["kind"]:
        raise BadInput(Fault(f"events/{number}", "should have kind and message, and perhaps app and node, all text"))
    if node:
        texts |= {"source": f"agent@{node}", "node": node}
    return Event(**texts)
