"""The routes by which scheduler and node-controller have a lease, and the fence of all that they write: a request that carries a
term is done only while that is the newest one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Optional

from flask import Blueprint, Response, g, jsonify, request

from api.auth import require_operator
from api.body import body, query, seconds
from api.held import HeldRequests
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.json_values import text, whole
from duckconf.leading import HEADER, LONGEST_NAME, NAMES, Candidate, Lease, read_term
from duckconf.reach.state.leases import Leases

READS = ("GET", "HEAD", "OPTIONS")
FIELDS = ("who", "process", "term", "begun")


@dataclass(frozen=True)
class Routes:
    leases: Leases
    held: HeldRequests

    def listing(self) -> Response:
        require_operator()
        found = ((name, *self.leases.seen(name)) for name in NAMES)
        return jsonify(leases=[{**_told(name, lease), "age": round(quiet, 3)} for name, lease, quiet in found])

    def ask(self, name: str) -> Response:
        require_operator()
        _require_known(name)
        query("wait")
        candidate, patience = _candidate(body()), seconds("wait")
        with self.held.up_to(patience) as allowed:
            lease = self.leases.ask(name, candidate, allowed)
        return jsonify(_told(name, lease) | {"yours": lease.process == candidate.process})

    def let_go(self, name: str) -> Response:
        require_operator()
        _require_known(name)
        query("process")
        process = request.args.get("process", "")
        _require_short("process", process)
        return jsonify(_told(name, self.leases.let_go(name, process)))

    def fence(self) -> None:
        """Before each request."""
        header = request.headers.get(HEADER)
        if header is not None and request.method not in READS:
            name, term = read_term(header)
            writing = ExitStack()
            writing.enter_context(self.leases.writing(name, term))
            g.writing = writing


def blueprint(served: Routes) -> Blueprint:
    routes = Blueprint("leases", __name__)
    routes.get("/leases")(served.listing)
    routes.put("/leases/<name>")(served.ask)
    routes.delete("/leases/<name>")(served.let_go)
    routes.before_app_request(served.fence)
    routes.teardown_app_request(_end)
    return routes


def _end(_: Optional[BaseException]) -> None:
    writing: ExitStack | None = g.pop("writing", None)
    if writing is not None:
        writing.close()


def _told(name: str, lease: Lease) -> dict[str, Any]:
    return {"name": name, **lease.to_json()}


def _require_known(name: str) -> None:
    if name not in NAMES:
        raise NotFound(f"{name!r} has no lease", f"these have: {', '.join(NAMES)}")


def _require_short(key: str, value: str) -> None:
    if not 0 < len(value) <= LONGEST_NAME:
        raise BadInput(Fault(key, f"should have 1 to {LONGEST_NAME} signs"))


def _candidate(wanted: object) -> Candidate:
    if not isinstance(wanted, dict) or not {"who", "process"} <= wanted.keys() <= {*FIELDS}:
        raise BadInput(Fault("", "should be an object with who and process, and maybe term or begun"))
    values: dict[str, Any] = {}
    for key, read in (("who", text), ("process", text), ("term", whole)):
        try:
            values[key] = read(wanted.get(key, 0))
        except ValueError as wrong:
            raise BadInput(Fault(key, str(wrong))) from None
    for key in ("who", "process"):
        _require_short(key, values[key])
    if not 0 <= values["term"] < 10**18:
        raise BadInput(Fault("term", "should be the number of a term, or 0"))
    if not isinstance(begun := wanted.get("begun", False), bool):
        raise BadInput(Fault("begun", f"should be true or false, got {begun!r}"))
    return Candidate(**values, begun=begun)
