"""The hosts of a Molecule scenario, from the same maker as the demo's: `python -m tests.molecule.hosts up|reboot|down`.

The environment says which cluster and inventory, as for every task, and where the scenario's variables go.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from duckconf.cli.cluster.tokens import ensure_tokens
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.demo_roles import API_PORT_INSIDE
from duckconf.cli.roles.build_agent import build_agent, build_control_plane
from duckconf.cli.roles.etcd_members import member_variables
from duckconf.errors import DuckconfError
from duckconf.inventory import Inventory
from duckconf.naming import WEB_IMAGE
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.inventory.topology import member_addresses
from duckconf.reach.nodes.parallel import ask_all

ROOT = Path(__file__).resolve().parents[2]


def main(verb: str) -> None:
    project = load_project(ROOT, os.environ)
    {"up": up, "reboot": reboot, "down": down}[verb](project)


def up(project: Project) -> None:
    inventory = project.inventory()
    hosts = DemoHosts(project)
    hosts.up(inventory.node_hosts(), inventory.control_hosts())
    variables = {
        "duckconf_cluster": project.cluster,
        **_of_control_plane(project, inventory),
        **(_of_nodes(project, hosts, inventory) if inventory.nodes else _of_members(project, inventory)),
    }
    Path(os.environ["DUCKCONF_MOLECULE_VARS"]).write_text(json.dumps(variables))


def _of_nodes(project: Project, hosts: DemoHosts, inventory: Inventory) -> dict[str, object]:
    image = project.state / "web.tar"
    image.unlink(missing_ok=True)
    hosts.engine.must("save", "-o", str(image), WEB_IMAGE)
    return {
        "duckconf_api_url": f"http://control-1:{API_PORT_INSIDE}",
        "duckconf_agent_source": str(build_agent(project.root)),
        "duckconf_agent_token_source": str(ensure_tokens(project.state, inventory.nodes).of(inventory.nodes[0])),
        "duckconf_login_key_source": str(project.login_key.with_suffix(".pub")),
        "scenario_image": WEB_IMAGE,
        "scenario_image_file": str(image),
    }


def _of_control_plane(project: Project, inventory: Inventory) -> dict[str, object]:
    tokens = ensure_tokens(project.state, inventory.nodes)
    return {
        "duckconf_nodes": list(inventory.nodes),
        "duckconf_control_plane_source": str(build_control_plane(project.root)),
        "duckconf_tokens_source": str(tokens.hashes),
        "duckconf_operator_token_source": str(tokens.operator),
    }


def _of_members(project: Project, inventory: Inventory) -> dict[str, object]:
    step = {"duckconf_etcd_step": "new", "duckconf_store_members": member_addresses(inventory)}
    return {**member_variables(project, inventory), **step}


def reboot(project: Project) -> None:
    inventory, hosts = project.inventory(), DemoHosts(project)
    for failure in ask_all((*inventory.nodes, *inventory.control_plane), hosts.reboot).values():
        if isinstance(failure, DuckconfError):
            raise failure


def down(project: Project) -> None:
    DemoHosts(project).down()
    shutil.rmtree(project.state, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
