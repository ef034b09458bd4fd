"""What some engine commands do, said to the engine's HTTP API, where that costs no process on the node. Pure.

A `Command` may carry a `Request`. It is only ever a shortcut: its steps end with None where the command has to do it, whose
words are for people. What the docker-wrapper promises of its commands holds here as well: what is made gets the node's label
(`owned`), and nothing is replaced or removed but what was made here.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol
from urllib.parse import quote, urlencode

from duckconf.command import Completed
from duckconf.model import DECLARED, App
from duckconf.naming import LABEL_NODE
from duckconf.wire import merged

DOCKER = "docker"
PODMAN = "podman"
# Podman has its own API under a version; docker without one means the newest, and 29 refuses what was usual before.
ROOTS = {PODMAN: "/v4.0.0/libpod", DOCKER: ""}
# What the engine's own client says of each container.
USUAL: Mapping[str, Mapping[str, Any]] = {
    PODMAN: {"sdnotifyMode": "container"},
    DOCKER: {"HostConfig": {"RestartPolicy": {"Name": "no"}}},
}
LABELS = {PODMAN: "labels", DOCKER: "Labels"}
# Done, and it was so before.
DONE, ALREADY = (200, 201, 204), 304


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Optional[Mapping[str, Any]] = field(default=None, repr=False)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def done(self) -> bool:
        return self.status in DONE or self.status == ALREADY

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


Steps = Generator[Call, Answer, Optional[Completed]]


class Request(Protocol):
    def steps(self, engine: str, node: str) -> Steps:
        """The calls, one after the other, and the outcome as the command would have it; None when the command has to do it.
        Raises ValueError, LookupError or TypeError for an answer that cannot be read."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class Make:
    """Make a container and start it. One whose start failed is removed again: the command makes it anew."""

    container: str
    bodies: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def steps(self, engine: str, node: str) -> Steps:
        body = owned(self.bodies[engine], engine, node)
        if engine == PODMAN:
            made = yield Call("POST", path(engine, "create"), {**body, "name": self.container})
        else:
            made = yield Call("POST", f"{path(engine, 'create')}?{urlencode({'name': self.container})}", body)
        if not made.done:
            return None
        number = str(made.json()["Id"])
        started = yield Call("POST", path(engine, number, "start"))
        if started.done:
            return Completed(0, f"{number}\n", "")
        yield Call("DELETE", f"{path(engine, number)}?force=true")
        return None


@dataclass(frozen=True)
class Act:
    """One call about a container that is there: to start or stop it, or with DELETE to remove it."""

    container: str
    method: str
    what: str = ""
    query: str = ""

    def steps(self, engine: str, node: str) -> Steps:
        words = (self.container, self.what) if self.what else (self.container,)
        answer = yield Call(self.method, path(engine, *words) + self.query)
        # Podman answers with a list of what it removed, and why it did not.
        failed = answer.body.startswith(b"[") and any(row.get("Err") for row in answer.json())
        return Completed(0, f"{self.container}\n", "") if answer.done and not failed else None


@dataclass(frozen=True)
class ReadLabels:
    """The labels of a container as one JSON object."""

    container: str

    def steps(self, engine: str, node: str) -> Steps:
        answer = yield Call("GET", path(engine, self.container, "json"))
        return Completed(0, json.dumps(answer.json()["Config"]["Labels"] or {}), "") if answer.done else None


def path(engine: str, *words: str) -> str:
    return "/".join((f"{ROOTS[engine]}/containers", *(quote(word, safe="") for word in words)))


def owned(body: Mapping[str, Any], engine: str, node: str) -> dict[str, Any]:
    """With the label that says whose it is, which the docker-wrapper adds to its commands."""
    name = LABELS[engine]
    return {**body, name: {**body.get(name, {}), LABEL_NODE: node}}


def make(container: str, app: App, values: Mapping[str, Any]) -> Optional[Make]:
    """`values` are those of the fields that the engine is told. None when one of them can be given on a command line only."""
    bodies = {DOCKER: _body(app, values, DOCKER), PODMAN: _body(app, values, PODMAN)}
    return Make(container, {name: body for name, body in bodies.items() if body is not None}) if all(bodies.values()) else None


def _body(app: App, values: Mapping[str, Any], engine: str) -> Optional[dict[str, Any]]:
    body: dict[str, Any] = {**USUAL[engine], "Image" if engine == DOCKER else "image": app.image}
    if words := [*app.entrypoint[1:], *app.command]:
        body["Cmd" if engine == DOCKER else "command"] = words
    for name, declared in DECLARED.items():
        if declared.flag and values[name]:
            part = getattr(declared.wire, engine)(values[name]) if declared.wire else None
            if part is None:
                return None
            body = merged(body, part)
    return body
