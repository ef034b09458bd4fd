"""Changes how many instances of apps run: all that was typed is checked before the first app is changed."""

from __future__ import annotations

from duckconf.cli.apps.awaiting import await_instances, where
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.counts import counted
from duckconf.errors import BadInput, DuckconfError, Fault, NotFound
from duckconf.model import DECLARED, NAME
from duckconf.naming import instance_name
from duckconf.place_kinds import GLOBAL
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project

ACTOR = "the loop"
AGENTS_ACTOR = "the agents"


def scale(project: Project, typed: str, *, wait: bool) -> None:
    """Raises BadInput for what was typed wrong, NotFound in push mode, and what the API says of an app that it has not; no app
    is changed then."""
    wanted = wanted_replicas(typed)
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("push mode keeps no desired state to scale", "start more: ./inv start-app IMAGE --replicas N")
    api = api_client(project)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    before = {name: api.call("GET", path_of("app", name)) for name in wanted}
    if everywhere := [name for name, told in before.items() if told.get("mode") == GLOBAL]:
        what = "runs one instance on each node that it may run on (mode global); choose the nodes: ./inv update {0} --on PATTERN"
        raise BadInput(*(Fault(name, what.format(name)) for name in everywhere))
    done: list[str] = []
    for name, number in wanted.items():
        try:
            api.call("PUT", path_of("app", name), {"replicas": number})
        except DuckconfError as error:
            error.message += f"; {', '.join(done)} {'was' if len(done) == 1 else 'were'} scaled before" if done else ""
            raise
        done.append(name)
        print(said(name, len(before[name]["instances"]), number, AGENTS_ACTOR if mode == AGENTS else ACTOR), flush=True)
    for name in wanted if wait else ():
        print(where(await_instances(api, name, cursor, starts=False)), flush=True)


def wanted_replicas(typed: str) -> dict[str, int]:
    """From `web=5,db=2`; raises BadInput with each part that is wrong."""
    wanted: dict[str, int] = {}
    faults: list[Fault] = []
    for part in typed.split(","):
        name, equals, number = part.strip().partition("=")
        if not (equals and NAME.fullmatch(name)):
            faults.append(Fault("APP=N", f"should be an app and a number such as web=5, got {part.strip()!r}"))
        elif name in wanted:
            faults.append(Fault(name, "is named twice; name it once"))
        else:
            wanted[name] = DECLARED["replicas"].kind.check(name, number, faults)
    if faults:
        raise BadInput(*faults)
    return wanted


def said(name: str, before: int, after: int, actor: str) -> str:
    """What the change means, and what happens next."""
    if before == after:
        return f"{name}: {counted(after, 'replica')} already; nothing to change"
    slots = [instance_name(name, slot) for slot in range(min(before, after) + 1, max(before, after) + 1)]
    which = slots[0] if len(slots) == 1 else f"{slots[0]} to {slots[-1]}"
    verb = "starts" if after > before else "removes"
    verb = verb if actor == ACTOR else verb.removesuffix("s")
    return f"{name}: from {before} to {counted(after, 'replica')}; {actor} {verb} {which}: ./inv apps"
