"""The API of a project's cluster, as its operator: with the token and the certificate that its mode asks for."""

from __future__ import annotations

import os
from pathlib import Path

from duckconf.command import Secret
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.secret import read_token
from duckconf.reach.inventory.project import Project

TOKEN_FILE = "operator.token"  # noqa: S105 - a name, no token
CA_FILE = Path("tls") / "ca.pem"


def api_client(project: Project) -> ApiClient:
    """Raises SetupError when there is a token that cannot be read."""
    path, trust = project.state / TOKEN_FILE, project.state / CA_FILE
    token = os.environ.get("DUCKCONF_TOKEN")
    secret = Secret(token) if token else read_token(path) if path.exists() else None
    ca_file = str(trust) if project.settings.api_url.startswith("https:") and trust.exists() else ""
    return ApiClient(project.settings.api_url, token=secret, ca_file=ca_file)
