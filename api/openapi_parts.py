"""The parts that descriptions of calls are put together from."""

from __future__ import annotations

from typing import Any

from api.schemas_of_updates import refer
from duckconf.model import DECLARED
from duckconf.secret_kinds import NAME as SECRET_PATTERN


def problem(description: str) -> dict[str, Any]:
    schema = refer("Problem")
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def parameter(name: str, schema: dict[str, Any], description: str, where: str = "query") -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


def takes(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": refer(schema)}}}


WAIT = parameter("wait", {"type": "number", "minimum": 0}, "Seconds to hold the request until there is a change, 55 at most.")
# As many digits as a number of 64 bits has in any case.
MOST = 10**18 - 1
COUNT = {"type": "integer", "minimum": 0, "maximum": MOST}
REVISION = parameter("since", COUNT, "A revision; with `wait`, the request is held until the revision differs.")
IF_MATCH = parameter("If-Match", {"type": "string"}, "The app's revision as it was read; 412 when it has changed.", "header")
NAME = parameter("name", DECLARED["name"].kind.schema(), "The app.", "path")
SECRET_NAME = {"type": "string", "pattern": f"^{SECRET_PATTERN.pattern}$"}
SECRET = parameter("name", SECRET_NAME, "The secret: letters, digits, '.', '_' and '-', 63 at most.", "path")
NODE = parameter("name", {"type": "string"}, "The node.", "path")
NO_NODE = {"404": problem("There is no such node.")}
FORM = {
    "400": problem("The body is not JSON."),
    "413": problem("The body is larger than 64 KiB."),
    "415": problem("The Content-Type is not application/json."),
    "507": problem("The disk of the server is full; nothing was changed."),
}
UNREADABLE = {"503": problem("The desired state cannot be read or written now; nothing was changed.")}

APPS: dict[str, Any] = {
    "get": {
        "operationId": "listApps",
        "summary": "All declared apps, with their last observed state.",
        "parameters": [
            parameter("nodeName", {"type": "string"}, "Only the apps placed on this node; if empty, the apps without a node."),
            REVISION,
            WAIT,
        ],
        "responses": {"200": answer("Apps.", refer("Apps")), "422": problem("A parameter is wrong.")},
    }
}
