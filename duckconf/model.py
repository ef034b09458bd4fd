"""The app: what a user asks for. Each field is declared once, here; everything else about fields derives from it:
validation and its error paths, the API's schema, the options of `start-app`, the columns of the state file, the engine's
arguments and docs/fields.md.

`parse_app` is the only way in for data from outside (HTTP bodies, state files); it reports every fault at once,
each with its path. An `App` that exists is valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from duckconf import compose, policies, secret_kinds, shared_network, wire
from duckconf import container_kinds as container
from duckconf import field_kinds as kinds
from duckconf import front_kinds as front
from duckconf import healthcheck_kind as health
from duckconf import place_kinds as place
from duckconf.declaration import KEY, PLACED, RESOLVED, SERVICE, SPEC, Declaration, given, required
from duckconf.depends_kind import DEPENDS_KIND
from duckconf.errors import BadInput, Fault
from duckconf.field_kinds import HOST_NAME as HOST_NAME
from duckconf.field_kinds import NAME as NAME
from duckconf.kinds import FLAG, named


@dataclass(frozen=True)
class App:
    """What should run, `replicas` times. A field that was not given has its default. For limits, 0 means no limit.

    `node` and `generation` are the placements of its instances where these are part of the state (agents mode), by slot:
    "" is not placed, and the higher generation is the newer decision. `ended` records how those that are over ended, and `spec`
    has the hash of what each was placed to run: during an update not all have the present one.
    The fields of a container have the names, forms and defaults of the Compose Spec.
    """

    image: str = required(kinds.IMAGE_KIND, "an OCI image reference", "nginx:1.25")
    name: str = given(
        kinds.NAME_KIND,
        "an RFC 1123 label. Default: app-N. Required in agents mode, not allowed in push mode",
        "web",
        "name",
        part=SERVICE,
    )
    command: tuple[str, ...] = given(
        kinds.COMMAND_KIND, "replaces the command of the image", ["sh", "-c", "echo hello"], "command"
    )
    env: Mapping[str, str] = given(kinds.ENV_KIND, "NAME=VALUE", {"MODE": "fast"}, "env", "--env", wire=wire.ENV)
    ports: tuple[str, ...] = given(
        kinds.PORTS_KIND,
        "[IP:]HOST:CONTAINER, also ranges such as 8000-8002:80-82, optionally with /udp or /sctp. With CONTAINER alone, "
        "the engine chooses the port of the node",
        ["8081:80"],
        "port",
        "--publish",
        wire=wire.PORTS,
    )
    volumes: tuple[str, ...] = given(
        kinds.VOLUMES_KIND,
        "/SOURCE:/PATH (a path on the node) or NAME:/PATH (a volume of its engine), optionally with :ro",
        ["data:/var/lib/data"],
        "volume",
        "--volume",
    )
    cpus: float = given(kinds.CORES_KIND, "limit in cores", 0.5, "cpus", "--cpus", wire=wire.CPUS)
    memory: str = given(
        kinds.MEMORY_KIND,
        "limit in bytes, or with a unit: k, m, g, MiB (powers of 1024); at least 6m",
        "512m",
        "memory",
        "--memory",
        wire=wire.MEMORY,
    )
    labels: Mapping[str, str] = given(
        kinds.LABELS_KIND,
        "NAME=VALUE; node and duckconf.* are reserved",
        {"team": "web"},
        "label",
        "--label",
        wire=wire.LABELS,
    )
    entrypoint: tuple[str, ...] = given(
        container.ENTRYPOINT_KIND,
        "replaces the entrypoint of the image, and its command too; [] takes the image's away",
        ["/entry", "--verbose"],
        "entrypoint",
        "--entrypoint",
        wire=wire.ENTRYPOINT,
    )
    user: str = given(container.USER_KIND, "user or id, optionally with :GROUP", "1000:1000", "user", "--user", wire=wire.USER)
    group_add: tuple[str, ...] = given(
        container.GROUPS_KIND, "further groups or ids", ["audio"], "group-add", "--group-add", wire=wire.GROUPS
    )
    working_dir: str = given(container.FOLDER_KIND, "the folder of its process", "/srv", "workdir", "--workdir", wire=wire.FOLDER)
    hostname: str = given(
        container.HOSTNAME_KIND, "its host name", "web.example.org", "hostname", "--hostname", wire=wire.HOSTNAME
    )
    init: bool = given(FLAG, "an init process forwards signals and reaps processes", True, "init", "--init")
    read_only: bool = given(FLAG, "the root file system is read-only", True, "read-only", "--read-only")
    stdin_open: bool = given(FLAG, "standard input stays open", True, "interactive", "--interactive", wire=wire.STDIN)
    tty: bool = given(FLAG, "its process has a terminal", True, "tty", "--tty", wire=wire.TTY)
    tmpfs: tuple[str, ...] = given(
        container.TMPFS_KIND,
        "/PATH in memory, optionally with options: /run:size=64m,mode=1777",
        ["/run:size=64m"],
        "tmpfs",
        "--tmpfs",
    )
    shm_size: str = given(kinds.size_kind(), "size of /dev/shm", "128m", "shm-size", "--shm-size", wire=wire.SHM)
    ulimits: Mapping[str, str] = given(
        container.LIMITS_KIND, "NAME=SOFT[:HARD]; -1 is no limit", {"nofile": {"soft": 1024, "hard": 4096}}, "ulimit", "--ulimit"
    )
    sysctls: Mapping[str, str] = given(
        container.SYSCTLS_KIND,
        "kernel parameters of its namespaces",
        {"net.core.somaxconn": "1024"},
        "sysctl",
        "--sysctl",
        wire=wire.SYSCTLS,
    )
    cap_add: tuple[str, ...] = given(
        container.CAPABILITIES_KIND,
        "capabilities that it gets, or ALL",
        ["NET_ADMIN"],
        "cap-add",
        "--cap-add",
        wire=wire.CAP_ADD,
    )
    cap_drop: tuple[str, ...] = given(
        container.CAPABILITIES_KIND,
        "capabilities that it loses, or ALL",
        ["ALL"],
        "cap-drop",
        "--cap-drop",
        wire=wire.CAP_DROP,
    )
    security_opt: tuple[str, ...] = given(
        container.SECURITY_KIND,
        "options for seccomp, AppArmor and SELinux",
        ["no-new-privileges"],
        "security-opt",
        "--security-opt",
    )
    privileged: bool = given(FLAG, "all capabilities and devices: it is root on the node", True, "privileged", "--privileged")
    devices: tuple[str, ...] = given(
        container.DEVICES_KIND,
        "/dev/NAME[:/dev/NAME][:rwm], or a CDI name such as nvidia.com/gpu=all",
        ["/dev/fuse"],
        "device",
        "--device",
    )
    network_mode: str = given(
        container.NETWORK_KIND,
        "bridge (a network of the engine), host (the node's network), none, or stack:NAME: a network of the node that the "
        "services of a stack share, for which they are placed on one node; service:APP: the network of that app of its stack",
        "host",
        "network",
        "--network",
        wire=wire.NETWORK,
    )
    aliases: tuple[str, ...] = given(
        container.ALIASES_KIND,
        "its names in the network of its stack; without one it has none",
        ["db"],
        "network-alias",
        "--network-alias",
    )
    dns: tuple[str, ...] = given(container.DNS_KIND, "IP addresses of DNS servers", ["192.0.2.53"], "dns", "--dns", wire=wire.DNS)
    extra_hosts: tuple[str, ...] = given(
        container.HOSTS_KIND,
        "NAME=ADDRESS for /etc/hosts",
        ["db.local=192.0.2.7"],
        "add-host",
        "--add-host",
        wire=wire.HOSTS,
    )
    stop_signal: str = given(container.SIGNAL_KIND, "the signal that asks it to stop", "SIGQUIT", "stop-signal", "--stop-signal")
    stop_grace_period: str = given(
        container.GRACE_KIND,
        "how long it may take to stop before it is killed. Default: 10s",
        "1m30s",
        "stop-timeout",
        "--stop-timeout",
        wire=wire.GRACE,
    )
    healthcheck: Mapping[str, str] = given(
        health.HEALTH_KIND,
        "when an instance is healthy: test (a command in it: list CMD, CMD-SHELL, NONE, or text), http (/PATH:PORT) or tcp "
        "(PORT), which the node asks; interval (30s), timeout (30s), retries (3), start_period (0s), start_interval (5s), "
        "disable. Default: the HEALTHCHECK of the image",
        {"http": "/up:8080", "interval": "10s"},
        flag="--no-healthcheck",
        options=health.OPTIONS,
        wire=wire.CHECK,
    )
    pull_policy: str = given(
        container.PULL_KIND,
        "always, missing (the default) or never: when the engine pulls the image",
        "never",
        "pull",
        "--pull",
        part=SERVICE,
        wire=wire.PULL,
    )
    replicas: int = given(kinds.REPLICAS_KIND, "how many instances run, spread over the nodes", 3, "replicas", part=SERVICE)
    mode: str = given(
        place.MODE_KIND,
        "replicated (the default): `replicas` instances. global: one instance on each node that `on` means, also on nodes that "
        "join later; a node that is drained, has left the inventory or is not meant any more has none",
        "global",
        "mode",
        part=SERVICE,
    )
    update_config: Mapping[str, str] = given(
        policies.UPDATE_KIND,
        "how an update replaces its instances: parallelism (1), order (start-first, stop-first), delay (0s), monitor (5s: how "
        "long an instance without a health check must run to count as ready), healthy_deadline (5m, and as much longer as "
        "monitor and the start_period of its check are: an instance that is not ready by then fails the update), "
        "failure_action (rollback, pause, continue)",
        {"parallelism": "2", "order": "stop-first"},
        "update-config",
        part=SERVICE,
    )
    paused: bool = given(FLAG, "its update rests: no instance is replaced", True, part=SERVICE)
    restart: str = given(
        kinds.RESTART_KIND,
        "whether a container that ended is started again: always (the default), unless-stopped (the same), on-failure, "
        "on-failure:N (at most N times) or no. With no and on-failure, exit code 0 is its end: it is a job. "
        "Push mode restarts nothing",
        "on-failure:3",
        "restart",
        part=SERVICE,
    )
    restart_policy: Mapping[str, str] = given(
        policies.RESTART_KIND,
        "the long form of restart, which it overrides: condition (none, on-failure, any), max_attempts, delay (the least time "
        "between two starts; pauses also grow from 1s to 5m), window (how long a container must run until its earlier restarts "
        "are forgotten; max_attempts without a window forgets none)",
        {"condition": "on-failure", "max_attempts": "3", "delay": "5s"},
        "restart-policy",
        part=SERVICE,
    )
    secrets: tuple[str, ...] = given(
        secret_kinds.SECRETS_KIND,
        "NAME[:TARGET], a file in /run/secrets or at a path, optionally with ,uid=N ,gid=N ,mode=0440 (the usual mode is 0444), "
        "or NAME:env=VARIABLE; set the value before: ./inv secret set NAME",
        ["db:db.key,uid=1000,mode=0400", "token:env=API_TOKEN"],
        "secret",
    )
    secret_revisions: Mapping[str, str] = given(
        secret_kinds.REVISIONS_KIND,
        "the revision of each of its secrets",
        {"db": "0123456789abcdef"},
        part=RESOLVED,
        found_from="secrets",
    )
    routes: tuple[str, ...] = given(
        front.ROUTES_KIND,
        "HOST[/PATH][=PORT]: where a front serves it, from the instances that are ready. PORT is that of the container, and "
        "needed when it publishes several",
        ["shop.example.org/api=8080"],
        "route",
        part=SERVICE,
    )
    on: str = given(
        place.ON_KIND,
        "the nodes that it may run on: an Ansible pattern of the inventory's groups and hosts. An instance on another node moves",
        "web:!node-3",
        "on",
        part=SERVICE,
    )
    max_per_node: int = given(
        place.MOST_KIND, "how many of its instances a node gets at most; 0 is no limit", 1, "max-per-node", part=SERVICE
    )
    reserve_cpus: float = given(
        kinds.CORES_KIND, "cores of a node that are set aside for each instance", 0.5, "reserve-cpus", part=SERVICE
    )
    reserve_memory: str = given(
        kinds.size_kind(), "memory of a node that is set aside for each instance", "256m", "reserve-memory", part=SERVICE
    )
    depends_on: Mapping[str, str] = given(
        DEPENDS_KIND,
        "apps that must be there before it is started or updated, each with how far: service_started, service_healthy or "
        "service_completed_successfully",
        {"shop-db": "service_healthy"},
        part=SERVICE,
    )
    stack: str = given(kinds.NAME_KIND, "the stack that it is part of; ./inv apply declares stacks", "shop", part=SERVICE)
    node: tuple[str, ...] = given(kinds.NODES_KIND, "the node of each instance, by slot", ["node-1"], part=PLACED)
    generation: tuple[int, ...] = given(
        kinds.GENERATIONS_KIND, "by slot, the revision of the placement; the highest is current", [7], part=PLACED
    )
    ended: tuple[str, ...] = given(
        kinds.ENDS_KIND,
        "by slot, how the job ended: hash of its spec, exit code and number of restarts",
        ["0123456789abcdef:0:0"],
        part=PLACED,
    )
    spec: tuple[str, ...] = given(
        kinds.SPECS_KIND, "by slot, the hash of the spec that the instance was placed to run", ["0123456789abcdef"], part=PLACED
    )


DECLARED: Mapping[str, Declaration] = {item.name: item.metadata[KEY] for item in fields(App)}
DEFAULTS: Mapping[str, Any] = {
    item.name: item.default_factory() if item.default_factory is not MISSING else item.default for item in fields(App)
}
FIELDS = tuple(name for name, declared in DECLARED.items() if declared.part in (SPEC, SERVICE))
SPEC_FIELDS = tuple(name for name, declared in DECLARED.items() if declared.part in (SPEC, RESOLVED))
# Those that say where it may run: for who places it, and nobody else.
PLACING = ("stack", "mode", "on", "max_per_node", "reserve_cpus", "reserve_memory")
PLACEMENT = tuple(name for name, declared in DECLARED.items() if declared.part == PLACED)
FOUND_OUT = tuple(name for name, declared in DECLARED.items() if declared.part == RESOLVED)


def parse_app(data: object, *, placed: bool = False) -> App:
    """An App from decoded JSON, also from the body of a Compose service, with its placement and what else the
    control plane adds to it when `placed`; raises BadInput with one Fault for each thing wrong."""
    known = (*FIELDS, *PLACEMENT, *FOUND_OUT) if placed else FIELDS
    if not isinstance(data, Mapping):
        raise BadInput(Fault("", f'should be an object such as {{"image": "nginx"}}, got {named(data)}'))
    faults = compose.unfit(data, known)
    body, typed = compose.canonical(data), compose.typed_names(data)
    told = [name for name in known if body.get(name) is not None]
    values = {name: DECLARED[name].kind.check(typed.get(name, name), body[name], faults) for name in told}
    if "image" not in values:
        faults.append(Fault("image", 'is missing; should be an image reference such as "nginx:1.25"'))
    if faults := faults or [*_clashes(values), *place.faults_in(values, typed)]:
        raise BadInput(*faults)
    return App(**values)


def _clashes(values: Mapping[str, Any]) -> list[Fault]:
    """What is right in each field and wrong together."""
    found = []
    if values.get("ports") and values.get("network_mode") in ("host", "none"):
        found.append(Fault("ports", f"cannot be published with network_mode {values['network_mode']}; omit one of the two"))
    mounted = {kinds.VOLUMES_KIND.target(volume) for volume in values.get("volumes", ())}
    for index, text in enumerate(values.get("tmpfs", ())):
        if (target := container.TMPFS_KIND.target(text)) in mounted:
            found.append(Fault(f"tmpfs/{index}", f"should have another path in the container: {target} has a volume already"))
    return [*found, *shared_network.faults_in(values), *secret_kinds.faults_in(values), *front.faults_in(values)]
