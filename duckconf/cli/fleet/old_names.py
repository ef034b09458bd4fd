"""Whether a machine may become a node under a name: not while containers of the cluster run there under another one.

The docker-wrapper would hide them, nobody would stop them, and their apps could run twice.
"""

from __future__ import annotations

from collections.abc import Collection

from duckconf import beside
from duckconf.command import Runner
from duckconf.errors import NodeFailure
from duckconf.inventory import Host
from duckconf.patterns import some_of


def refuse_old_names(cluster: str, nodes: Collection[str], host: Host, own: str, admin: Runner) -> None:
    """`own` is what the machine calls itself now, `nodes` are those of the inventory. Raises NodeFailure."""
    if own == host.name or host.demo:
        return
    left = beside.of_old_names(beside.read(admin.run(beside.ask(cluster)).stdout), host.name, own, nodes)
    if left:
        names, old = [item.name for item in left], left[0].node
        reason = f"has containers that it runs as {old}, which nobody would see under the name {host.name}: {some_of(names)}"
        remove = f"{host.engine} rm -f {' '.join(names)}"
        raise NodeFailure(
            host.name, reason, f"give it the name {old}, or remove them there, if their apps run elsewhere: {remove}"
        )
