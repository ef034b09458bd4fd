"""The API of a project's cluster, as its operator: with the token and the certificate that its mode asks for."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.api.secret import read_token
from duckconf.reach.api.servers import Servers
from duckconf.reach.inventory.project import Project

TOKEN_FILE = "operator.token"  # noqa: S105 - a name, no token
CA_FILE = Path("tls") / "ca.pem"


class ClusterApi(ApiClient):
    """A client that calls only the API of its own cluster: before its first call it asks the server whose it is.

    Checkouts of one machine that keep the default port would else change each other's apps.
    """

    def __init__(self, project: Project, mode: str, token: Secret | None, servers: Servers) -> None:
        super().__init__(servers, token=token)
        self._project = project
        self._mode = mode
        self._ours: set[str] = set()

    def call(
        self, method: str, path: str, body: object = None, deadline: float | None = None, at: str = "", *, held: bool = False
    ) -> dict[str, Any]:
        """As ApiClient's; raises DuckconfError also when the server is another cluster's or in another mode."""
        try:
            return super().call(method, path, body, deadline, at, held=held)
        except ApiRefused as refused:
            raise self._told(refused) from None

    def stream(self, path: str, known: str = "") -> Iterator[bytes]:
        """As ApiClient's; raises as `call`."""
        try:
            yield from super().stream(path, known)
        except ApiRefused as refused:
            raise self._told(refused) from None

    def require(self, url: str, seconds: float) -> None:
        """Without the token, which only our own servers may see."""
        if url not in self._ours:
            health = ApiClient(url, ca_file=self.servers.ca_file).call("GET", "/healthz", deadline=seconds)
            require_ours(self._project, self._mode, health, url)
            self._ours.add(url)

    def _told(self, refused: ApiRefused) -> DuckconfError:
        """What the API says of a token is for who writes requests; a person has it in a file."""
        if refused.status != HTTPStatus.UNAUTHORIZED:
            return refused
        if "DUCKCONF_TOKEN" in os.environ:
            return DuckconfError("the API refuses the token in DUCKCONF_TOKEN", "unset it to use the one of this checkout")
        path = self._project.state / TOKEN_FILE
        what = "refuses the token" if path.exists() else "asks for the operator's token, and there is none"
        return DuckconfError(f"the API {what} in {path.relative_to(self._project.root)}", "./inv provision hands over a new one")


@functools.cache
def _servers(urls: tuple[str, ...], ca_file: str) -> Servers:
    """What all clients of this process find out about them together: a task has several, one after the other."""
    return Servers(urls, ca_file=ca_file)


def api_client(project: Project, mode: str = "") -> ApiClient:
    """For the mode that the cluster is in, or is about to be in. Raises SetupError when there is a token that cannot be read."""
    path, trust = project.state / TOKEN_FILE, project.state / CA_FILE
    token = os.environ.get("DUCKCONF_TOKEN")
    secret = Secret(token) if token else read_token(path) if path.exists() else None
    mode = mode or mode_of(project)
    urls = project.api_urls() if mode == AGENTS else project.settings.api_urls
    ca_file = str(trust) if urls[0].startswith("https:") and trust.exists() else ""
    return ClusterApi(project, mode, secret, _servers(urls, ca_file))


def require_ours(project: Project, mode: str, health: Mapping[str, Any], url: str) -> None:
    """`health` is what the server at `url` says of itself; raises DuckconfError when it is not this cluster's in this mode."""
    wanted = whose(project, mode)
    found = {key: health.get(key) for key in wanted}
    if found == wanted:
        return
    if (found["cluster"], found["folder"]) == (wanted["cluster"], wanted["folder"]):
        problem = f"the API at {url} serves mode {found['mode']}, and this cluster is in mode {mode}"
        raise DuckconfError(problem, f"bring it up again: ./inv up {mode}")
    place = f" in {found['folder']}" if found["folder"] else ""
    raise DuckconfError(
        f"the API at {url} is that of cluster {found['cluster']}{place}, not of {project.cluster} in {project.root}",
        "give this one an address of its own: api_url in invoke.yml, or DUCKCONF_API",
    )


def whose(project: Project, mode: str) -> dict[str, str | None]:
    """What the API of this project says of itself in this mode.

    The control plane of agents mode is on another machine and names no folder; it asks for a token instead.
    """
    return {"cluster": project.cluster, "mode": mode, "folder": None if mode == AGENTS else str(project.root)}
