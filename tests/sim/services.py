"""What people ask of services: how updates go on, where instances may run, new values of secrets, revisions that never serve."""

from __future__ import annotations

from dataclasses import replace

from duckconf.model import App
from tests.sim.engines import CRASHING, REFUSED, STUCK
from tests.sim.faults import Faults, Kinds
from tests.sim.sickness import SICKNESS

PATTERNS = ("", "", "odd", "even", "!n1", "nodes:!odd", "n2,n3")


def service(faults: Faults) -> str:
    """An app of several instances with a policy of its own."""
    name, dice = faults.dice.choice("abcd"), faults.dice
    ports = (f"{dice.choice((8080, 8081))}:80",) if faults.world.ported and dice.random() < 0.3 else dice.choice(((), ("80",)))
    app = App(f"web:{dice.randrange(1, 4)}", name, replicas=dice.choice((1, 2, 3, 4, 6)), ports=ports)
    return declared(faults, replace(app, update_config=policy(faults)))


def update(faults: Faults) -> str:
    app = chosen(faults)
    return declared(faults, replace(app, image=f"web:{faults.dice.randrange(1, 6)}")) if app else ""


def break_it(faults: Faults) -> str:
    """A revision that is refused, ends at once, or is never ready."""
    app = chosen(faults)
    return declared(faults, replace(app, image=f"{faults.dice.choice((REFUSED, CRASHING, STUCK))}:1")) if app else ""


def change_policy(faults: Faults) -> str:
    app = chosen(faults)
    return declared(faults, replace(app, update_config=policy(faults))) if app else ""


def pause_update(faults: Faults) -> str:
    app = chosen(faults)
    return declared(faults, replace(app, paused=not app.paused)) if app else ""


def place(faults: Faults) -> str:
    app = chosen(faults)
    if app is None:
        return ""
    return declared(faults, replace(app, on=faults.dice.choice(PATTERNS), max_per_node=faults.dice.choice((0, 0, 1, 2))))


def rotate(faults: Faults) -> str:
    """A new value of the secret that an app uses."""
    app = chosen(faults)
    if app is None:
        return ""
    faults.world.person.secrets[app.name] = f"{faults.dice.randrange(16**16):016x}"
    faults.world.tell_loop()
    return app.name


def policy(faults: Faults) -> dict[str, str]:
    dice = faults.dice
    drawn = {
        "parallelism": dice.choice(("", "1", "2", "0")),
        "order": dice.choice(("", "start-first", "stop-first")),
        "delay": dice.choice(("", "", "3s", "15s")),
        "monitor": dice.choice(("", "1s", "8s")),
        "failure_action": dice.choice(("", "", "", "pause", "continue")),
        "healthy_deadline": dice.choice(("", "30s", "2m")),
    }
    return {key: value for key, value in drawn.items() if value}


def chosen(faults: Faults) -> App | None:
    apps = faults.world.person.apps
    kept = [name for name in sorted(apps) if not apps[name].restart]
    return apps[faults.dice.choice(kept)] if kept else None


def declared(faults: Faults, app: App) -> str:
    faults.world.person.apps[app.name] = app
    faults.world.tell_loop()
    said = f"{app.replicas} of {app.image}, {dict(app.update_config)}, on {app.on or 'any'}, {app.max_per_node or 'any'} per node"
    return f"{app.name}: {said}{', paused' if app.paused else ''}"


SERVICES: Kinds = {
    "service": service,
    "update": update,
    "update again": update,
    "break": break_it,
    "policy": change_policy,
    "rest": pause_update,
    "place": place,
    "rotate": rotate,
    **SICKNESS,
}
