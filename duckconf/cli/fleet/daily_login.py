"""The login that Duckconf's own commands use: it is used once, and where it is refused, root is asked for the setting."""

from __future__ import annotations

from duckconf import engine, host_words
from duckconf.engine_output import read_containers
from duckconf.errors import LoginRefused, NodeFailure
from duckconf.inventory import Host
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts


def use_once(project: Project, name: str, patience: float) -> None:
    """Log in as every day and ask the engine; raises NodeFailure with the likely setting. `patience` is in seconds."""
    host = project.inventory(secrets=True).node(name)
    fleet = Fleet([host], KnownHosts(project.pins, OWN_PINS), project.login_key, patience, refusals=project.refusals)
    try:
        read_containers(name, fleet.runner(name).run(engine.list_ours(project.cluster, host.engine)))
    except LoginRefused as refused:
        raise diagnosed(refused, host, fleet) from refused
    finally:
        fleet.close()


def diagnosed(refused: LoginRefused, host: Host, fleet: Fleet) -> LoginRefused:
    """The same refusal with the setting that root finds there; as it was where root is not reached or finds none."""
    if not host.own_login:
        return refused
    user = host.daily().user
    try:
        found = host_words.likely(fleet.admin(host.name).run(host_words.ask(user)).stdout, user)
    except NodeFailure:
        return refused
    if not found:
        return refused
    missing = f"there is no login {user}", f"{user} has no authorized_keys there"
    mend = f"change that there, then: ./inv doctor {host.name}"
    remedy = f"to make it: ./inv provision --full --limit {host.name}" if found in missing else mend
    return LoginRefused(host.name, f"{refused.reason}; {found}", remedy)
