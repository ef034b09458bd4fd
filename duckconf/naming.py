"""Every name and label that Duckconf gives to something on an engine. Nothing else invents one."""

from __future__ import annotations

import re

DEFAULT_CLUSTER = "demo"
PUBLIC_REGISTRY = "docker.io"
LONGEST_NAME = 63

ENV_NODE = "DUCKCONF_NODE"
SLOT_SIGN = "."
# A `network_mode` that names a stack.
STACK_MODE = "stack:"
# One that names the app whose network namespace is shared.
SHARED_MODE = "service:"
LABEL_NODE = "node"
LABEL_CLUSTER = "duckconf.cluster"
LABEL_APP = "duckconf.app"
LABEL_SLOT = "duckconf.slot"
LABEL_SPEC = "duckconf.spec"
LABEL_GENERATION = "duckconf.generation"
LABEL_MANIFEST = "duckconf.manifest"
LABEL_CHECK = "duckconf.check"
# The id of the container whose network namespace it shares.
LABEL_SHARES = "duckconf.shares"
LABEL_RESTART = "duckconf.restart"
# Of a container that `./inv run` made: it is no app of the cluster.
LABEL_RUN = "duckconf.run"
# Of an app's container, as the listing of a node is read.
LABELS_READ = (
    LABEL_APP,
    LABEL_SLOT,
    LABEL_SPEC,
    LABEL_GENERATION,
    LABEL_MANIFEST,
    LABEL_CHECK,
    LABEL_RESTART,
    LABEL_RUN,
    LABEL_SHARES,
)
LABEL_HOST = "duckconf.host"
LABEL_HOST_SPEC = "duckconf.host-spec"
LABEL_FOLDER = "duckconf.folder"
LABEL_SOURCE = "duckconf.source"
# Of a container whose secrets lie in a volume that goes with it.
LABEL_SECRETS = "duckconf.secrets"

# Labels travel on the command line, which must stay under what a shell takes.
LONGEST_MANIFEST = 16_384

NODE_IMAGE = "localhost/duckconf/node"
DOCKER_NODE_IMAGE = "localhost/duckconf/node-docker"
BARE_IMAGE = "localhost/duckconf/bare"
BASE_IMAGE = "localhost/duckconf/base"
WEB_IMAGE = "localhost/duckconf/web"
NGINX_IMAGE = "localhost/nginx"


def public_image(image: str) -> str:
    """What docker takes an image without a registry for: `nginx` is docker.io/library/nginx. "" for one with a registry."""
    first, slash, _ = image.partition("/")
    if slash and (first == "localhost" or any(sign in first for sign in ".:")):
        return ""
    return f"{PUBLIC_REGISTRY}/{image}" if slash else f"{PUBLIC_REGISTRY}/library/{image}"


def repository(image: str) -> str:
    """The image's name without tag and digest."""
    name = image.partition("@")[0]
    return name[: -len(tag) - 1] if "/" not in (tag := name.rpartition(":")[2]) and ":" in name else name


def prefix(cluster: str) -> str:
    """What keeps two clusters apart on one engine; the default cluster goes by the short names of the lessons."""
    return "" if cluster == DEFAULT_CLUSTER else f"{cluster}-"


def host_container(cluster: str, host: str) -> str:
    """The container that plays the demo host `host`."""
    return prefix(cluster) + host


def network(cluster: str) -> str:
    return f"duckconf-{cluster}"


def stack_network(cluster: str, stack: str) -> str:
    """The network of a node's engine in which the services of a stack find each other."""
    return f"{network(cluster)}-stack-{stack}"


def push_app(cluster: str, node: str, number: int) -> str:
    """The name of the app that a push started, which is its container's name too.

    Always one that an app may have in the other modes, which can then take it over: the number alone keeps it apart.
    """
    begin, end = f"duckconf-{prefix(cluster)}", f"-app-{number}"
    label = re.sub("[^a-z0-9-]", "-", node.lower())
    return f"{begin}{label[: LONGEST_NAME - len(begin) - len(end)]}{end}"


def instance_name(app: str, slot: int) -> str:
    """The name of one of an app's instances: web, web.2, web.3."""
    return app if slot == 1 else f"{app}{SLOT_SIGN}{slot}"


def app_of(instance: str) -> str:
    """The app of an instance by its name."""
    return instance.partition(SLOT_SIGN)[0]


def slot_of(instance: str) -> int:
    return int(instance.partition(SLOT_SIGN)[2] or 1)


def declared_container(cluster: str, instance: str) -> str:
    """The container of an instance of a declared app, where it is first placed. A later placement adds its generation after
    a dot, because the copy on a lost node may still have this name; the slot stands after a sign that no app's name has."""
    return f"duckconf-{prefix(cluster)}{instance.replace(SLOT_SIGN, '_')}"


def run_container(cluster: str, token: str) -> str:
    """The container of a command that is run once."""
    return f"duckconf-{prefix(cluster)}run-{token}"


def run_labels(cluster: str, container: str) -> dict[str, str]:
    return {LABEL_CLUSTER: cluster, LABEL_RUN: container}


def app_labels(
    cluster: str,
    app: str,
    spec: str,
    generation: int = 0,
    manifest: str = "",
    slot: int = 1,
    check: str = "",
    restart: str = "",
) -> dict[str, str]:
    """The labels that make a container ours. `node` is not here: the docker-wrapper on the node adds it.

    The manifest is the spec itself, so that another mode can take the app over as it runs. The restart policy is the one at
    its start: what is declared later counts, and is no part of the container.
    """
    labels = {LABEL_CLUSTER: cluster, LABEL_APP: app, LABEL_SLOT: str(slot), LABEL_SPEC: spec}
    if generation:
        labels[LABEL_GENERATION] = str(generation)
    if manifest and len(manifest) <= LONGEST_MANIFEST:
        labels[LABEL_MANIFEST] = manifest
    if check:
        labels[LABEL_CHECK] = check
    if restart:
        labels[LABEL_RESTART] = restart
    return labels


def app_env(app: str, node: str, slot: int = 1) -> dict[str, str]:
    """What an app may want to know about itself."""
    return {"DUCKCONF_APP": app, "DUCKCONF_SLOT": str(slot), ENV_NODE: node}


def push_number(name: str) -> int:
    """The N of a push app's name, 0 for any other name."""
    number = name.rpartition("-app-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def declared_number(name: str) -> int:
    """The N of `app-N`, the name that an app declared without one gets; 0 for any other name."""
    number = name.removeprefix("app-")
    return int(number) if name.startswith("app-") and number.isascii() and number.isdigit() else 0
