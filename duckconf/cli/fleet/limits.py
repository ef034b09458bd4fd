"""The hosts that a task is about, from the pattern that was typed. The one place that turns a NODE into hosts.

`@failed` are those that the last `provision` could not do; any other `@NAME` is a file with one host per line, as for
Ansible's own --limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from duckconf.errors import NotFound
from duckconf.inventory import Host, Inventory
from duckconf.inventory_variables import CONTROL_PLANE, NODES
from duckconf.patterns import ALL, choose
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import whole_lines, write_durably

FAILED = "failed"
FAILED_FILE = "failed-hosts"


def chosen_nodes(project: Project, inventory: Inventory, pattern: str) -> list[Host]:
    """The nodes that `pattern` means, in inventory order; raises NotFound with what there is."""
    return chosen_hosts(project, inventory, pattern, inventory.nodes)


def chosen_hosts(project: Project, inventory: Inventory, pattern: str, among: Sequence[str]) -> list[Host]:
    """Those of `among`, in their order."""
    groups = {ALL: tuple(inventory.hosts), CONTROL_PLANE: inventory.control_plane, NODES: inventory.nodes, **inventory.groups}
    names = choose(pattern, among, groups, lambda name: _recalled(project, name))
    return [inventory.hosts[name] for name in names]


def remember_failed(project: Project, asked: Iterable[str], failed: Iterable[str]) -> None:
    """Those that failed now; whoever was not asked this time keeps what was known of it."""
    before, after = failed_hosts(project), set(failed)
    after |= {name for name in before if name not in set(asked)}
    if after != set(before):
        project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(project.state / FAILED_FILE, "".join(f"{name}\n" for name in sorted(after)).encode())


def failed_hosts(project: Project) -> list[str]:
    return whole_lines(project.state / FAILED_FILE)


def _recalled(project: Project, name: str) -> list[str]:
    if name == FAILED:
        if found := failed_hosts(project):
            return found
        raise NotFound("no host failed in the last provision", "leave --limit out for all hosts")
    try:
        return Path(name).expanduser().read_text("utf-8").split()
    except OSError as error:
        raise NotFound(f"@{name} cannot be read: {error.strerror}", f"a file with one host per line, or @{FAILED}") from None
