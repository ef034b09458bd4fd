"""The jobs that the loop saw done, which may not run again by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.reach.state.placements import Book


@dataclass
class Finished:
    """By instance the spec that is done: on disk, so that the loop knows it after its own end too."""

    specs: dict[str, str] = field(default_factory=dict)

    def note(self, desired: Desired, heard: Mapping[str, Sequence[Container]], book: Book) -> None:
        """A job may run again when somebody withdrew it, changed it, or started its container by hand."""
        wanted = desired.instances
        if desired.complete:
            self.specs = {name: spec for name, spec in self.specs.items() if name in wanted or desired.is_unreadable(name)}
        self.specs = {name: spec for name, spec in self.specs.items() if name not in wanted or spec == wanted[name].spec}
        for copy in (copy for copies in heard.values() for copy in copies):
            if copy.running and self.specs.get(copy.instance) == copy.spec:
                del self.specs[copy.instance]
        for name, instance in wanted.items():
            place = book.placements.get(name)
            if place is None or not (instance.app.restart and book.certain and place.end):
                continue
            right = [copy for copy in heard.get(place.node, ()) if (copy.name, copy.spec) == (place.container, instance.spec)]
            if right and right[0].exit_code == 0:
                self.specs[name] = right[0].spec
