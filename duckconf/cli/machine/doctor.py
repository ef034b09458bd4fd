"""One look at everything that Duckconf needs on this machine, each with a way out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

from duckconf.checkup import Finding
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.cluster.services import api_service
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.counts import counted
from duckconf.errors import DuckconfError
from duckconf.naming import LABEL_CLUSTER, NODE_IMAGE, network
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts


def examine(load: Callable[[], Project]) -> list[Finding]:
    """Each check stands alone; only those that need a readable inventory wait for it."""
    try:
        project = load()
        inventory = project.inventory()
    except DuckconfError as error:
        return [Finding("inventory", "wrong", str(error))]
    findings = [
        Finding("inventory", "ok", f"{inventory.source}: {counted(len(inventory.nodes), 'node')}, cluster {project.cluster}")
    ]
    if faults := KnownHosts(project.pins, OWN_PINS).faults():
        findings.append(Finding("known_hosts", "wrong", f"skipped: {'; '.join(faults)}"))
    if inventory.demo_hosts():
        findings += [_check("engine", lambda: _engine(project)), _check("image", lambda: _image(project))]
    findings.append(_check("api", lambda: _api(project)))
    try:
        with open_cluster(project) as cluster:
            for node, found in cluster.observe().items():
                if isinstance(found, DuckconfError):
                    findings.append(Finding(node, "wrong", str(found)))
                else:
                    findings.append(Finding(node, "ok", f"answers, {counted(len(found), 'app')}"))
    except DuckconfError as error:
        findings.append(Finding("nodes", "wrong", str(error)))
    return findings


def _check(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except DuckconfError as error:
        return Finding(name, "wrong", str(error))


def _engine(project: Project) -> str:
    if shutil.which("podman") is None:
        raise DuckconfError("podman is not installed", "./inv up push installs it as root")
    engine = LocalEngine(project.root)
    settings = f", with {engine.settings.relative_to(project.root)}" if engine.settings.exists() else ""
    return engine.must("--version") + settings


def _image(project: Project) -> str:
    engine = LocalEngine(project.root)
    if not engine.has_image(NODE_IMAGE):
        raise DuckconfError(f"{NODE_IMAGE} is not built", "./inv up push builds it")
    engine.check(NODE_IMAGE)
    name = f"{network(project.cluster)}-doctor-{os.getpid()}"
    engine.check_host(NODE_IMAGE, name, f"--label={LABEL_CLUSTER}={project.cluster}", "--publish=127.0.0.1::22")
    return "a throwaway host starts, with systemd and a published port"


def _api(project: Project) -> str:
    process = api_service(project).process()
    answer = ApiClient(project.settings.api_url).call("GET", "/healthz", deadline=2.0)
    return f"{project.settings.api_url}, cluster {answer.get('cluster')}, process {process.pid if process else 'not ours'}"
