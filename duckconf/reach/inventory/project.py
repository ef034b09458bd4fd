"""Where things are for one call: the project folder, its settings, its cluster and that cluster's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from duckconf.control_plane import addresses_of
from duckconf.errors import DuckconfError, SetupError
from duckconf.inventory import Inventory, check_cluster
from duckconf.reach.inventory.hosts import load_inventory
from duckconf.settings import Settings, read_settings

MORE_HOSTS = "control-planes.json"


@dataclass(frozen=True)
class Project:
    """A checkout and the cluster that this call is about."""

    root: Path
    settings: Settings
    cluster: str

    @property
    def state(self) -> Path:
        """What the cluster keeps between calls: keys, pins, logs, the modes' own state."""
        return self.root / ".duckconf" / self.cluster

    @property
    def inventory_path(self) -> Path:
        return self.root / self.settings.inventory

    @property
    def more_inventory(self) -> tuple[Path, ...]:
        """What is read beside the inventory: demo hosts that `up agents --control-planes` has made."""
        path = self.state / MORE_HOSTS
        return (path,) if path.exists() else ()

    @property
    def login_key(self) -> Path:
        return self.state / "id_ed25519"

    @property
    def pins(self) -> Path:
        return self.state / "known_hosts"

    @property
    def refusals(self) -> Path:
        """One file per node that refuses the login of a service; see `Fleet`."""
        return self.state / "refused"

    def inventory(self, *, secrets: bool = False) -> Inventory:
        return load_inventory(self.inventory_path, self.root, *self.more_inventory, secrets=secrets)

    def api_urls(self) -> tuple[str, ...]:
        """Where this machine finds the API servers of agents mode. Without an inventory that can be read, as the settings say:
        whoever only asks the API needs none."""
        try:
            hosts = self.inventory().control_hosts()
        except DuckconfError:
            return self.settings.api_urls
        demo = len(hosts) > 1 and all(host.demo for host in hosts)
        return addresses_of(self.settings.api_urls, len(hosts)) if demo else self.settings.api_urls


def load_project(root: Path, environ: Mapping[str, str]) -> Project:
    """Settings from `invoke.yml` and the environment, the cluster's name from there or from the inventory."""
    settings = read_settings(_config(root), environ)
    name = settings.cluster or load_inventory(root / settings.inventory, root).cluster
    return Project(root, settings, check_cluster(name))


def _config(root: Path) -> Mapping[str, object]:
    path = root / "invoke.yml"
    try:
        section = (yaml.safe_load(path.read_text()) or {}).get("duckconf", {})
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, AttributeError) as error:
        raise SetupError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(section, dict):
        raise SetupError(f"{path}: duckconf should hold settings, one per line")
    return section
