"""The API of a project's cluster, as its operator: with the token and the certificate that its mode asks for."""

from __future__ import annotations

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
from duckconf.reach.inventory.project import Project

TOKEN_FILE = "operator.token"  # noqa: S105 - a name, no token
CA_FILE = Path("tls") / "ca.pem"
ASK_SECONDS = 10.0


class ClusterApi(ApiClient):
    """A client that calls only the API of its own cluster: before its first call it asks the server whose it is.

    Checkouts of one machine that keep the default port would else change each other's apps.
    """

    def __init__(self, project: Project, mode: str, token: Secret | None, ca_file: str) -> None:
        super().__init__(project.settings.api_url, token=token, ca_file=ca_file)
        self._project = project
        self._mode = mode
        # Without the token, which only our own server may see.
        self._stranger = ApiClient(project.settings.api_url, ca_file=ca_file)
        self._is_ours = False

    def call(self, method: str, path: str, body: object = None, deadline: float | None = None, at: str = "") -> dict[str, Any]:
        """As ApiClient's; raises DuckconfError also when the server is another cluster's or in another mode."""
        self._require_ours(min(deadline or ASK_SECONDS, ASK_SECONDS))
        try:
            return super().call(method, path, body, deadline, at)
        except ApiRefused as refused:
            raise self._told(refused) from None

    def stream(self, path: str, known: str = "") -> Iterator[bytes]:
        """As ApiClient's; raises as `call`."""
        self._require_ours(ASK_SECONDS)
        try:
            yield from super().stream(path, known)
        except ApiRefused as refused:
            raise self._told(refused) from None

    def _told(self, refused: ApiRefused) -> DuckconfError:
        """What the API says of a token is for who writes requests; a person has it in a file."""
        if refused.status != HTTPStatus.UNAUTHORIZED:
            return refused
        if "DUCKCONF_TOKEN" in os.environ:
            return DuckconfError("the API refuses the token in DUCKCONF_TOKEN", "unset it to use the one of this checkout")
        path = self._project.state / TOKEN_FILE
        what = "refuses the token" if path.exists() else "asks for the operator's token, and there is none"
        return DuckconfError(f"the API {what} in {path.relative_to(self._project.root)}", "./inv provision hands over a new one")

    def _require_ours(self, seconds: float) -> None:
        if not self._is_ours:
            require_ours(self._project, self._mode, self._stranger.call("GET", "/healthz", deadline=seconds))
            self._is_ours = True


def api_client(project: Project, mode: str = "") -> ApiClient:
    """For the mode that the cluster is in, or is about to be in. Raises SetupError when there is a token that cannot be read."""
    path, trust = project.state / TOKEN_FILE, project.state / CA_FILE
    token = os.environ.get("DUCKCONF_TOKEN")
    secret = Secret(token) if token else read_token(path) if path.exists() else None
    ca_file = str(trust) if project.settings.api_url.startswith("https:") and trust.exists() else ""
    return ClusterApi(project, mode or mode_of(project), secret, ca_file)


def require_ours(project: Project, mode: str, health: Mapping[str, Any]) -> None:
    """`health` is the answer of /healthz; raises DuckconfError when it is not from this cluster in this mode."""
    wanted = whose(project, mode)
    found = {key: health.get(key) for key in wanted}
    if found == wanted:
        return
    if (found["cluster"], found["folder"]) == (wanted["cluster"], wanted["folder"]):
        problem = f"the API at {project.settings.api_url} serves mode {found['mode']}, and this cluster is in mode {mode}"
        raise DuckconfError(problem, f"bring it up again: ./inv up {mode}")
    place = f" in {found['folder']}" if found["folder"] else ""
    raise DuckconfError(
        f"the API at {project.settings.api_url} is that of cluster {found['cluster']}{place}, not of {project.cluster} in "
        f"{project.root}",
        "give this one an address of its own: api_url in invoke.yml, or DUCKCONF_API",
    )


def whose(project: Project, mode: str) -> dict[str, str | None]:
    """What the API of this project says of itself in this mode.

    The control plane of agents mode is on another machine and names no folder; it asks for a token instead.
    """
    return {"cluster": project.cluster, "mode": mode, "folder": None if mode == AGENTS else str(project.root)}
