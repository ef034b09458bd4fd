"""More demo hosts for the control plane than the inventory has: `up agents --control-planes 3`.

They lie in a file of the state folder that is read beside the inventory, until `down` takes them away.
"""

from __future__ import annotations

import json

from duckconf.cli.demo.demo_roles import LOOPBACK, is_taken
from duckconf.errors import BadInput, Fault, SetupError
from duckconf.inventory import Inventory
from duckconf.inventory_variables import CONTROL_PLANE
from duckconf.members import refused_number
from duckconf.reach.inventory.project import MORE_HOSTS, Project
from duckconf.reach.state.files import write_durably

OPTION = "--control-planes"


def choose_control_planes(project: Project, wanted: int) -> None:
    """So many from now on; 0 leaves them as they are. Raises BadInput, SetupError."""
    inventory = project.inventory()
    there = len(inventory.control_plane)
    if wanted in (0, there):
        return
    if wanted < 0 or refused_number(wanted) is not None:
        raise BadInput(Fault(OPTION, f"should be an odd number, of which a majority is left when one fails, got {wanted}"))
    if not inventory.control_plane or not all(inventory.hosts[name].demo for name in inventory.control_plane):
        remedy = "write the hosts into the inventory instead"
        raise SetupError(f"{OPTION} is for demo hosts, and the group {CONTROL_PLANE} has real machines or none", remedy)
    if wanted < there:
        remedy = "./inv down takes all away, and then up makes as many as you say"
        raise SetupError(f"there are {there} hosts in the group {CONTROL_PLANE} already, and {OPTION} {wanted} is fewer", remedy)
    more = _new_hosts(inventory, wanted - there)
    for path in project.more_inventory:
        more = {**json.loads(path.read_text("utf-8"))[CONTROL_PLANE]["hosts"], **more}
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(project.state / MORE_HOSTS, json.dumps({CONTROL_PLANE: {"hosts": more}}, indent=2).encode())


def forget_control_planes(project: Project) -> None:
    """The inventory's own remain."""
    (project.state / MORE_HOSTS).unlink(missing_ok=True)


def _new_hosts(inventory: Inventory, number: int) -> dict[str, dict[str, object]]:
    ports = {host.port for host in inventory.demo_hosts()}
    hosts: dict[str, dict[str, object]] = {}
    count, port = 1, max(ports)
    while len(hosts) < number:
        count += 1
        if (name := f"control-{count}") in inventory.hosts:
            continue
        port += 1
        while port in ports or is_taken(LOOPBACK, port):
            port += 1
        hosts[name] = {"ansible_host": LOOPBACK, "ansible_port": port, "duckconf_provider": "container"}
    return hosts
