"""Every command a person types, `./inv TASK`, gathered from duckconf/cli/commands."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.tasks import Task

from duckconf.cli.commands import apps, cluster, develop, fleet, inside, look, stacks

namespace = Collection("tasks")
namespace.__doc__ = __doc__
for module in (apps, cluster, develop, fleet, inside, look, stacks):
    for task in vars(module).values():
        if isinstance(task, Task):
            namespace.add_task(task)
