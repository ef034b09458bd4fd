"""The network of a container that is about to start: that of its stack, made where it is not there yet, or that of another app's
container, which is looked up on the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from duckconf import engine
from duckconf.actions import Start
from duckconf.command import Completed, Runner
from duckconf.engine_output import engine_failure, require_ours
from duckconf.errors import EngineRefused
from duckconf.model import App
from duckconf.naming import LABEL_SHARES
from duckconf.shared_network import owner_of
from duckconf.together import unit_of


@dataclass(frozen=True)
class Joined:
    """`mode` is the engine's word for the network of a container, "" where the app says its own."""

    mode: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def app(self, app: App) -> App:
        return replace(app, network_mode=self.mode) if self.mode else app


def join(action: Start, cluster: str, runner: Runner) -> Joined:
    """Raises EngineRefused where the app whose network is shared has no container, or several."""
    app = action.app
    if owner := owner_of(app):
        found = _done(action.node, runner.run(engine.running_of(cluster, owner))).stdout.split()
        if len(found) != 1:
            why = (
                f"{action.node}: {owner}, whose network {app.name} shares, has {len(found)} running containers there and not one"
            )
            raise EngineRefused(why, conflict=True)
        return Joined(f"container:{found[0]}", {LABEL_SHARES: found[0]})
    if unit_of(app):
        _done(action.node, runner.run(engine.make_network(cluster, unit_of(app))))
    return Joined()


def _done(node: str, completed: Completed) -> Completed:
    require_ours(node, completed)
    if not completed.ok:
        raise engine_failure(node, completed)
    return completed
