"""Apps as a compose file. Pure.

What Compose has no key for stands in `x-duckconf` of the service, which other programs ignore. `./inv apply` reads it, so that to
apply an exported stack again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from duckconf.codec import to_json
from duckconf.compose import ALIASES, DEPLOY, ROUTE_LABEL
from duckconf.compose_file.own_fields import OWN
from duckconf.compose_file.stack import app_name
from duckconf.exports.granting import Granting
from duckconf.exports.lost import NOT_EXPORTED, Lost
from duckconf.healthcheck_kind import OWN as CHECKS
from duckconf.model import DECLARED, App
from duckconf.naming import SHARED_MODE, STACK_MODE
from duckconf.place_kinds import GLOBAL
from duckconf.shared_network import owner_of
from duckconf.together import unit_of

Service = dict[str, Any]

KEYS = {field: key for key, field in ALIASES.items() if field != "replicas"}
PATHS = {field: path for path, field in DEPLOY.items() if field not in ("cpus", "memory", "on")}
# Fields that are written in a way of their own below.
NAMES = ("name", "stack")
WRITTEN = ("volumes", "secrets", "routes", "depends_on", "network_mode", "aliases", "healthcheck", "restart", "on")
COMMANDS = ("command", "entrypoint")
COUNTED = ("parallelism", "max_attempts")
OF_A_SWARM = "of a swarm, Docker Compose ignores it"
KEPT = f"kept in {OWN}, which other programs ignore: "
LOST: Mapping[str, str] = {
    "on": f"{KEPT}they do not know the groups of this inventory",
    "routes": f"the label {ROUTE_LABEL}, which a front elsewhere does not read",
    "update_config": OF_A_SWARM,
    "max_per_node": OF_A_SWARM,
    "reserve_cpus": OF_A_SWARM,
    "reserve_memory": OF_A_SWARM,
}


class Compose:
    """The file while it is written. `stack` is "" where the apps are not those of one stack. `known` are the secrets whose value
    lies in a file beside it."""

    def __init__(self, apps: Mapping[str, App], stack: str, known: Collection[str] = ()) -> None:
        self._apps = apps
        self._stack = stack
        self._services = {name: _service_name(app, stack) for name, app in apps.items()}
        self._volumes: dict[str, Any] = {}
        self._granting = Granting(stack, {use for app in apps.values() for use in app.secrets}, known)
        self.lost: list[Lost] = []

    def model(self) -> dict[str, Any]:
        services = {self._services[name]: self._service(name, app) for name, app in self._apps.items()}
        units = {} if self._stack else {unit: None for app in self._apps.values() if (unit := unit_of(app))}
        parts = {"networks": units, "volumes": self._volumes, "secrets": self._granting.declared}
        named = {"name": self._stack} if self._stack else {}
        return {**named, "services": _escaped(services), **{key: part for key, part in parts.items() if part}}

    @property
    def files(self) -> dict[str, str]:
        """Where the value of a secret belongs, below the folder of the file."""
        return self._granting.files

    def _service(self, name: str, app: App) -> Service:
        own: dict[str, Any] = {}
        body = _plainly(app, own)
        for part in (self._restart, self._check, self._mounts, self._grants, self._order, self._network, self._routes):
            body |= part(app, own, body)
        if app.on:
            own["on"] = app.on
        self._say(name, app)
        return {**body, **({OWN: own} if own else {})}

    def _say(self, name: str, app: App) -> None:
        self.lost += [Lost(name, field, why) for field, why in LOST.items() if getattr(app, field)]
        self.lost += [Lost(name, "mode", OF_A_SWARM)] if app.mode == GLOBAL else []
        self.lost += [Lost(name, "paused", NOT_EXPORTED["paused"])] if app.paused else []

    def _restart(self, app: App, own: Service, body: Service) -> Service:
        # What is not said is `no` elsewhere.
        said = app.restart or ("" if app.restart_policy else "always")
        return {"restart": said} if said else {}

    def _check(self, app: App, own: Service, body: Service) -> Service:
        told: dict[str, Any] = DECLARED["healthcheck"].kind.plain(app.healthcheck)  # type: ignore[assignment]
        ours = {key: value for key, value in told.items() if key in CHECKS and key != "test"}
        if ours:
            own["healthcheck"] = ours
            words = f"{KEPT}they do not ask from outside of the container"
            self.lost.append(Lost(app.name, f"healthcheck/{next(iter(ours))}", words))
        rest = {key: value for key, value in told.items() if key not in ours}
        return {"healthcheck": rest} if rest else {}

    def _mounts(self, app: App, own: Service, body: Service) -> Service:
        return {"volumes": [self._mount(text) for text in app.volumes]} if app.volumes else {}

    def _mount(self, text: str) -> str:
        source, rest = text.split(":", 1)
        if source.startswith("/"):
            return text
        short = source.removeprefix(f"{self._stack}_") if self._stack else source
        named = {other.split(":", 1)[0] for app in self._apps.values() for other in app.volumes}
        key = short if short != source and short and short not in named else source
        self._volumes[key] = None if key != source else {"name": source}
        return f"{key}:{rest}"

    def _grants(self, app: App, own: Service, body: Service) -> Service:
        if not app.secrets:
            return {}
        entries, exact = self._granting.entries(app.secrets)
        if not exact:
            own["secrets"] = list(app.secrets)
        self.lost += [Lost(app.name, field, why) for field, why in self._granting.lost(app.secrets)]
        return {"secrets": entries}

    def _order(self, app: App, own: Service, body: Service) -> Service:
        known = {self._services[name]: {"condition": how} for name, how in app.depends_on.items() if name in self._services}
        if others := {name: how for name, how in app.depends_on.items() if name not in self._services}:
            own["depends_on"] = others
            self.lost.append(Lost(app.name, "depends_on", f"{KEPT}{', '.join(others)} is not in this file"))
        return {"depends_on": known} if known else {}

    def _network(self, app: App, own: Service, body: Service) -> Service:
        unit = unit_of(app)
        if owner := owner_of(app):
            if owner in self._services:
                return {"network_mode": f"{SHARED_MODE}{self._services[owner]}"}
            own["network_mode"] = app.network_mode
            return {}
        if not unit:
            # Services of a file share a network where they say nothing.
            alone = not app.network_mode and len(self._apps) > 1
            own |= {"network_mode": None} if alone else {}
            own |= {"aliases": list(app.aliases)} if app.aliases else {}
            return {"network_mode": "bridge"} if alone else {"network_mode": app.network_mode} if app.network_mode else {}
        service = self._services[app.name]
        more = [alias for alias in app.aliases if alias != service]
        others = [other for other in self._apps.values() if unit_of(other)]
        if unit != self._stack or len(others) < 2:
            own |= {"network_mode": f"{STACK_MODE}{unit}"}
        if unit != self._stack or len(others) < 2 or app.aliases != (service, *more):
            own |= {"aliases": list(app.aliases)}
        network = "default" if self._stack else unit
        return {"networks": {network: {"aliases": more} if more else None}} if more or not self._stack else {}

    def _routes(self, app: App, own: Service, body: Service) -> Service:
        if not app.routes:
            return {}
        if any("," in route for route in app.routes):
            own["routes"] = list(app.routes)
        return {"labels": {**body.get("labels", {}), ROUTE_LABEL: " ".join(app.routes)}}


def _plainly(app: App, own: Service) -> Service:
    """The fields whose Compose form is ours. What a reader of it would not take for exactly the same is in `own` too."""
    body: Service = {}
    deploy: dict[str, Any] = {}
    for field, value in to_json(app).items():
        if field in (*NAMES, *WRITTEN, *NOT_EXPORTED):
            continue
        told = {key: int(text) if key in COUNTED else text for key, text in value.items()} if _is_policy(field) else value
        if field not in COMMANDS and isinstance(told, list) and len(set(told)) < len(told):
            # The Spec allows no item twice.
            own[field], told = told, list(dict.fromkeys(told))
        if field in PATHS:
            _put(deploy, PATHS[field], told)
        else:
            body[KEYS.get(field, field)] = told
    ours = deploy.get("update_config", {}).pop("healthy_deadline", None)
    own |= {"update_config": {"healthy_deadline": ours}} if ours else {}
    return {**body, **({"deploy": deploy} if deploy else {})}


def _is_policy(field: str) -> bool:
    return field in ("update_config", "restart_policy")


def _put(deploy: dict[str, Any], path: str, value: object) -> None:
    *steps, last = path.split("/")
    for step in steps:
        deploy = deploy.setdefault(step, {})
    deploy[last] = str(value) if path.endswith("reservations/cpus") else value


def _service_name(app: App, stack: str) -> str:
    """The service's own name where the app still has it, for its name on the network."""
    if not stack:
        return app.name
    first = app.aliases[0] if app.aliases else ""
    return first if first and app_name(stack, first) == app.name else app.name.removeprefix(f"{stack}-")


def _escaped(value: Any) -> Any:
    """With $ as a compose file writes it. Keys are not interpolated."""
    if isinstance(value, Mapping):
        return {key: _escaped(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
