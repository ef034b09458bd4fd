"""What becomes of each key of a compose file: fields of an app, ignored because it makes no difference here, or refused. Pure.

What an app has no field for is refused, with the words of `duckconf/compose.py`, unless it is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from duckconf.compose import REFUSED
from duckconf.compose_file.tree import Place

NAME_STAYS = "; as a name on the network it stays"
SAME_NETWORK = "the services of a stack share one network of their node"
# Keys of a service that make no difference to what runs, or none that Duckconf could make.
IGNORED: Mapping[str, str] = {
    "annotations": "they are notes for the OCI runtime",
    "attach": "apps run in the background: ./inv logs APP",
    "blkio_config": "the engines' block I/O limits are not supported",
    "container_name": "a container is named after its app",
    "cpu_shares": "a share of the processor is no limit; cpus is one",
    "develop": "it is for development",
    "expose": "it publishes nothing, and services of a stack reach each other's ports",
    "logging": "the role limits the logs of all apps (duckconf_log_size_mb)",
    "mem_swappiness": "swap is set on the node",
    "memswap_limit": "swap is set on the node",
    "oom_kill_disable": "memory is the limit that counts",
    "oom_score_adj": "memory is the limit that counts",
    "platform": "an app runs on nodes whose architecture its image has",
    "profiles": "they chose the services",
    "pull_refresh_after": "./inv redeploy APP pulls the image again",
}
DEPLOY_IGNORED: Mapping[str, str] = {
    "endpoint_mode": SAME_NETWORK,
    "labels": "they are for the service of a swarm, which has no container",
    "placement/preferences": "instances are spread over the zones of the inventory (duckconf_zone)",
    "rollback_config": "a rollback goes by update_config",
}
# Keys that are no field of an app and are translated nevertheless.
TRANSLATED: Mapping[str, str] = {
    "configs": "a file that is brought to the node and rolled out when it changes",
    "env_file": "read where the compose file lies",
    "extends": "followed",
    "links": "as a name of the service that it links, which every service of the stack has anyway",
    "mem_reservation": "as `reserve_memory`",
    "networks": f"{SAME_NETWORK}; `aliases` are names there",
}
# Keys of the file beside `services`.
OF_FILE: Mapping[str, str] = {"models": REFUSED["models"], "jobs": "a service with restart: on-failure is a job"}
BUILD = "Duckconf builds no images. Build it here and send it: podman build -t {image} {context} && ./inv push-image {image}"


@dataclass(frozen=True)
class Finding:
    """Something that is not as the file has it. What is `refused` keeps the stack from being applied."""

    place: Place
    what: str
    why: str
    refused: bool = True

    def __str__(self) -> str:
        what = f"{self.what}: " if self.what else ""
        return f"{self.place}: {what}{'refused' if self.refused else 'ignored'}: {self.why}"


def why_refused(key: str) -> str:
    """ "" for a key that is not refused as a whole."""
    return "" if key in IGNORED or key in TRANSLATED else REFUSED.get(key, "")
