"""Brings a cluster up in push mode and takes it down: demo hosts, then the API server as a detached process."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from duckconf.cli.demo_hosts import DemoHosts
from duckconf.cli.say import say, step
from duckconf.cli.services import Service
from duckconf.errors import DuckconfError, SetupError
from duckconf.reach.client import ApiClient
from duckconf.reach.project import Project

API_READY_SECONDS = 30.0


def api_service(project: Project) -> Service:
    return Service("api", project.state)


def up_push(project: Project) -> None:
    """Hosts and API run when this returns; raises DuckconfError that says what stands in the way."""
    inventory = project.inventory(secrets=True)
    say(f"cluster {project.cluster}: {len(inventory.nodes)} nodes from {inventory.source}")
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    demo = [host for host in inventory.node_hosts() if host.demo]
    if demo:
        DemoHosts(project).up(demo)
    _serve_api(project)
    say(f"the API answers at {project.settings.api_url}; try: ./inv start-app localhost/duckconf/web")


def down(project: Project, *, purge: bool) -> None:
    """Nothing of the cluster runs any more; with `purge` its images and state are gone too."""
    api_service(project).stop()
    if shutil.which("podman") is not None:
        DemoHosts(project).down(purge=purge)
    if purge:
        shutil.rmtree(project.state, ignore_errors=True)
    say(f"cluster {project.cluster} is down" + (", its images and state are gone" if purge else ""))


def _serve_api(project: Project) -> None:
    client = ApiClient(project.settings.api_url)
    if _is_ours(client, project) and api_service(project).process() is not None:
        return
    api_service(project).stop()
    if _answers(client):
        raise SetupError(
            f"another server answers at {project.settings.api_url}", "end it, or choose another address with DUCKCONF_API"
        )
    with step("starting the API server"):
        source = str(Path(__file__).resolve().parents[2])
        environ = {**os.environ, "DUCKCONF_CLUSTER": project.cluster, "PYTHONPATH": source}
        argv = (sys.executable, "-m", "api.serve", "--project", str(project.root))
        service = api_service(project)
        process = service.start(argv, environ, project.root)
        service.await_ready(process, lambda: _is_ours(client, project), API_READY_SECONDS)


def _is_ours(client: ApiClient, project: Project) -> bool:
    try:
        return client.call("GET", "/healthz", deadline=2.0).get("cluster") == project.cluster
    except DuckconfError:
        return False


def _answers(client: ApiClient) -> bool:
    try:
        client.call("GET", "/healthz", deadline=2.0)
    except DuckconfError as error:
        return not str(error).startswith("no API answers")
    return True
