"""What an update promises, checked against what the loop saw when it decided: how many instances go on serving, that a paused app
is left as it is, where instances may start, and that generations only grow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from duckconf.actions import Start
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.placement import Placement
from duckconf.plan import Step
from duckconf.policies import policy_of
from duckconf.rollout import History
from duckconf.sites import NOWHERE, Sites

Places = Mapping[str, Placement]
Heard = Mapping[str, Sequence[Container]]


@dataclass
class Promises:
    """`require` raises when the first does not hold, with the second."""

    require: Callable[[bool, str], None]
    is_proven: Callable[[Container, App], bool]
    """Whether a container that runs has been up for as long as its app's policy wants before it counts as ready."""
    sites: Sites = NOWHERE
    widest: dict[str, int] = field(default_factory=dict)
    """By app, the most instances that any policy of its let be replaced at once: what was begun under it is brought to an end."""

    def asked(self, wanted: Mapping[str, Instance]) -> None:
        """A pass has read what is desired."""
        for app in {id(instance.app): instance.app for instance in wanted.values()}.values():
            now = policy_of(app.update_config, app.replicas).parallelism
            self.widest[app.name] = max(now, self.widest.get(app.name, 0))

    def acted(self, step: Step, wanted: Mapping[str, Instance], heard: Heard, before: Places) -> None:
        """A step has been decided; `before` are the placements of the last pass. What is there already is made well there until
        it moves."""
        instance, old, node = wanted.get(step.instance), before.get(step.instance), step.action.node
        there = (old is not None and old.node == node) or any(copy.instance == step.instance for copy in heard[node])
        if instance is not None and isinstance(step.action, Start) and not there:
            app = instance.app
            self.require(self.sites.allows(app, node), f"{step.action}, which {app.on} does not mean")

    def passed(
        self,
        wanted: Mapping[str, Instance],
        heard: Heard,
        before: Places,
        after: Places,
        history: Mapping[str, History],
        forgotten: Collection[str],
        going: Collection[tuple[str, str]],
    ) -> None:
        """A pass has placed the instances; `going` are node and name of the containers that an action is under way for."""
        switched: dict[str, list[str]] = {}
        for name in before.keys() & after.keys() - set(forgotten):
            old, new = before[name], after[name]
            self.require(new.generation >= old.generation, f"{name}: generation {new.generation} after {old.generation}")
            if name not in wanted or wanted[name].app.restart or new.spec == old.spec:
                continue
            app = wanted[name].app
            known = old.spec in {item.spec for item in history.get(app.name, ())}
            self.require(not known or not app.paused, f"{name} is updated though its app is paused")
            if known and (old.node, old.container) == (new.node, new.container):
                switched.setdefault(app.name, []).append(name)
        for app_name, names in switched.items():
            self._check_floor(app_name, names, wanted, heard, before.keys() - set(forgotten), after, going)

    def _check_floor(
        self,
        app: str,
        names: Sequence[str],
        wanted: Mapping[str, Instance],
        heard: Heard,
        placed: Collection[str],
        after: Places,
        going: Collection[tuple[str, str]],
    ) -> None:
        """Of those that are replaced in place now, any that serves costs one. What had no place was away before, and what has not
        been up for `monitor` was not counted on yet."""
        siblings = {name for name, other in wanted.items() if other.app.name == app}
        ready = [copy for copies in heard.values() for copy in copies if copy.ready and copy.instance in siblings]
        specs = {name: place.spec for name, place in after.items()}
        left = {copy.instance for copy in ready if (copy.node, copy.name) not in going or copy.spec == specs.get(copy.instance)}
        proven = {copy.instance for copy in ready if self.is_proven(copy, wanted[copy.instance].app)}
        costs = proven & set(names) - left
        promised = len(siblings & set(placed)) - self.widest.get(app, 1)
        self.require(not costs or len(left) >= promised, f"{sorted(costs)}: {len(left)} go on serving, and {promised} should")
