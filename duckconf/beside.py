"""All of a cluster's containers on one machine, whichever node they are labelled with: what the docker-wrapper, which filters
by node, hides. Pure: what to ask, and how to read the answer.

Nodes of the shared topology use one engine, and a machine that is renamed keeps the containers of its old name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from duckconf.command import Command
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, LABEL_NODE

SECONDS = 20.0
# In the reason of a refusal: no later try could work as long as that copy is there.
OWN_COPY = "is held by the app's own copy on"
# An engine may stand here under two names; what it tells twice is one container.
ASK = """\
named=
read -r named <"${DUCKCONF_ENGINE_FILE:-/etc/duckconf/engine}"
for engine in "$named" /usr/bin/podman /usr/bin/docker /usr/local/bin/podman /snap/bin/docker; do
  [ -x "$engine" ] || continue
  "$engine" ps -aq --no-trunc --filter "label=$1" |
    xargs -r "$engine" inspect --type=container --format '[{{json .Name}},{{json .State.Status}},{{json .Config.Labels}}]'
done 2>/dev/null
:"""


class Beside(NamedTuple):
    """A container of the cluster; `node` is its label's."""

    name: str
    node: str
    app: str
    state: str


def ask(cluster: str) -> Command:
    """For a login that may use the engine itself, past the wrapper; to another one nothing is shown."""
    return Command(("sh", "-c", ASK, "sh", f"{LABEL_CLUSTER}={cluster}"), deadline=SECONDS)


def read(output: str) -> list[Beside]:
    """In order of their names; what is no answer is left out."""
    return sorted({found for line in output.splitlines() if (found := _read(line)) is not None})


def _read(line: str) -> Beside | None:
    try:
        answer: Any = json.loads(line)
        name, state, labels = answer
        texts = (name.removeprefix("/"), labels[LABEL_NODE], labels.get(LABEL_APP, ""), state)
        return Beside(*map(str, texts))
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def of_old_names(found: Iterable[Beside], node: str, own: str, nodes: Collection[str]) -> list[Beside]:
    """Those that would be hidden if the machine, which calls itself `own`, became `node`. Containers of other `nodes` are on
    an engine that they share with it."""
    return [item for item in found if item.node != node and (item.node == own or item.node not in nodes)]
