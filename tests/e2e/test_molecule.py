"""Each role through Molecule's whole sequence on hosts of the demo's maker: twice the same, rebooted, and then at work.

An agent needs a control plane: its scenario converges and verifies that role by the files of that role's own scenario.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from duckconf.cli.roles.playbook import quick_strategy
from tests.e2e.conftest import ROOT, free_ports

INVENTORY = """[nodes]
{}
[control_plane]
{}
[all:vars]
duckconf_cluster={}
duckconf_provider=container
ansible_host=127.0.0.1
ansible_user=root
ansible_ssh_private_key_file={}
ansible_python_interpreter=/usr/bin/python3
{}
"""
# The role `node` starts from a bare host; the others from one that has its own engine.
HOSTS = {"node": "duckconf_demo_image=bare", "agent": "duckconf_topology=own", "etcd": "duckconf_topology=own"}
NAMES = {"etcd": ((), ("control-1", "control-2", "control-3"))}


@pytest.mark.slow
@pytest.mark.parametrize("role", HOSTS)
def test_the_role_passes_its_molecule_scenario(role: str, engine_env: dict[str, str], tmp_path: Path) -> None:
    cluster = f"m{role[0]}{os.getpid()}"
    nodes, control_plane = NAMES.get(role, (("node-1",), ("control-1",)))
    *ports, api_port = free_ports(len(nodes) + len(control_plane) + 1)
    lines = [f"{name} ansible_port={port}" for name, port in zip((*nodes, *control_plane), ports)]
    groups = ("\n".join(lines[: len(nodes)]), "\n".join(lines[len(nodes) :]))
    state = ROOT / ".duckconf" / cluster
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(INVENTORY.format(*groups, cluster, state / "id_ed25519", HOSTS[role]))
    # Named on every command line of Molecule's, and filled when the hosts are made.
    variables = tmp_path / "variables.json"
    variables.write_text("{}")
    environ = {
        **engine_env,
        **quick_strategy(),
        "DUCKCONF_INVENTORY": str(inventory),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://127.0.0.1:{api_port}",
        "DUCKCONF_MOLECULE_VARS": str(variables),
        "NO_COLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "molecule"),
    }
    try:
        done = subprocess.run(
            ["molecule", "test"], cwd=ROOT / "roles" / role, env=environ, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    finally:
        argv = [sys.executable, "-m", "tests.molecule.hosts", "down"]
        subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, timeout=120, check=False)
        shutil.rmtree(state, ignore_errors=True)
