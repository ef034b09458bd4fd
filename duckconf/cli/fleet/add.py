"""`./inv add-node`: a machine that has sshd and python3 becomes a node, in the order in which nothing is left half done.

Address, host key, login and sudo are proved first; only then is the inventory written and the role run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from duckconf.checkup import OLDEST_PYTHON
from duckconf.cli.apps.change import set_cordon
from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.fleet.daily_login import use_once
from duckconf.cli.fleet.inventory_edit import adding
from duckconf.cli.fleet.limits import FAILED
from duckconf.cli.fleet.old_names import refuse_old_names
from duckconf.cli.roles.provision import BARE_NODE, provision, tell
from duckconf.cli.terminal.say import say, step
from duckconf.command import Command
from duckconf.engine_output import NOT_FOUND
from duckconf.errors import BadInput, Conflict, DuckconfError, Fault, HostKeyRefused, LoginRefused, NodeFailure, SetupError
from duckconf.facts import Facts, ask_machine, read_facts
from duckconf.host_words import another_program
from duckconf.inventory import Host, Inventory
from duckconf.inventory_variables import CONTROL_PLANE, NODES
from duckconf.known_hosts import Expected
from duckconf.model import HOST_NAME
from duckconf.reach.inventory.hosts import load_with
from duckconf.reach.inventory.project import Project
from duckconf.reach.ssh.fleet import Fleet, refused_key
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts, WrongHostKey, is_expected, pin, shown_key
from duckconf.reach.state.files import write_durably
from duckconf.ssh_address import read_address

PATIENCE = 10.0
PYTHON_CHECK = f"import sys; print('python', sys.version.split()[0]); sys.exit(sys.version_info < {OLDEST_PYTHON})"


@dataclass(frozen=True)
class NewNode:
    """What was typed. 0, "" and None leave it to what the inventory says of the group."""

    name: str
    address: str
    port: int = 0
    user: str = ""
    key_file: str = ""
    group: str = NODES
    become: bool | None = None

    @classmethod
    def typed(
        cls,
        name: str,
        host: str,
        port: int = 0,
        user: str = "",
        key_file: str = "",
        group: str = NODES,
        become: bool | None = None,
    ) -> NewNode:
        """`host` may be HOST, HOST:PORT, USER@HOST, [V6]:PORT or an ssh:// URL; raises BadInput."""
        found = read_address(host, port, user)
        return cls(name, found.host, found.port, found.user, key_file, group, become)

    def variables(self, *, real: bool) -> dict[str, Any]:
        """For the inventory. With `real`, it is set apart from the demo hosts that its group is made of."""
        wanted: dict[str, Any] = {"ansible_host": self.address}
        if self.port:
            wanted["ansible_port"] = self.port
        if self.user:
            wanted["ansible_user"] = self.user
        if self.key_file:
            wanted["ansible_ssh_private_key_file"] = self.key_file
        if self.become is not None:
            wanted["duckconf_become"] = self.become
        return wanted | ({"duckconf_provider": ""} if real else {})


def add_node(project: Project, new: NewNode, accept_key: str = "", confirm: Callable[[str], bool] | None = None) -> None:
    """`confirm` is asked about an unknown host key, on a terminal. Raises before anything is written, or says what was."""
    before = project.inventory()
    _check(before, new)
    host, variables = _as_it_would_be(project, new)
    edit = adding(project.inventory_path, new.group, new.name, variables)
    with _pinned(project, host, accept_key, confirm or ask_on_terminal):
        with step(f"logging in to {new.name} as {host.user}"):
            _check_login(project, host)
        if mode_of(project) != AGENTS:
            # A node of this name that was removed was cordoned.
            set_cordon(project, new.name, cordoned=False)
        edit.write()
    say(f"  {new.name} is added to {edit.path.name}")
    try:
        _make_ready(project, new.name)
    except DuckconfError as error:
        if isinstance(error, LoginRefused):
            # Provisioning it again would change nothing.
            raise LoginRefused(new.name, f"is in the inventory now, but not ready: {error.reason}", error.remedy) from error
        remedy = f"fix it and run `./inv provision --limit @{FAILED}`, or `./inv remove-node {new.name} --force`"
        failure = DuckconfError(f"{new.name} is in the inventory now, but not ready: {error.message}", remedy)
        failure.exit_code = error.exit_code
        raise failure from error
    print(f"{new.name} is a node now ({host.where}); try: ./inv nodes --limit {new.name}")


def ask_on_terminal(question: str) -> bool:
    """False without a terminal: nobody can have said yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question} [yes/no] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _check(inventory: Inventory, new: NewNode) -> None:
    faults = []
    if not HOST_NAME.fullmatch(new.name):
        faults.append(Fault("NAME", "should be letters, digits, . _ and - (63 at most): apps are named after it"))
    if not new.address or new.address.startswith("-") or any(sign.isspace() or sign in "/,@" for sign in new.address):
        faults.append(Fault("--host", f"should be a name or an address, got {new.address!r}"))
    if not 0 <= new.port < 65536:
        faults.append(Fault("--port", f"should be from 1 to 65535, got {new.port}"))
    if new.key_file and not Path(new.key_file).expanduser().is_file():
        faults.append(Fault("--key-file", f"{new.key_file} does not exist"))
    if faults:
        raise BadInput(*faults)
    if new.name in inventory.hosts or new.name in inventory.groups:
        what = inventory.hosts[new.name].where if new.name in inventory.hosts else "a group"
        raise Conflict(f"{new.name} is in the inventory already: {what}", f"to provision it: ./inv provision --limit {new.name}")


def _as_it_would_be(project: Project, new: NewNode) -> tuple[Host, dict[str, Any]]:
    """The host with all that its groups give it, passwords too, and the variables to write. Nothing is written yet."""
    for real in (False, True):
        variables = new.variables(real=real)
        with tempfile.TemporaryDirectory() as folder:
            extra = Path(folder) / "new.yml"
            extra.write_text(json.dumps({new.group: {"hosts": {new.name: variables}}}))
            after = load_with(project.inventory_path, extra, project.root, *project.more_inventory)
        if new.name not in after.nodes:
            raise SetupError(f"hosts of the group {new.group} are not nodes", f"name a group inside {NODES}: --group {NODES}")
        if not after.hosts[new.name].demo:
            break
    host = after.hosts[new.name]
    if other := next((known.name for known in after.hosts.values() if _is_same_machine(known, host)), ""):
        raise Conflict(f"{host.where} is in the inventory already: {other}", "one machine is one node")
    return host, variables


def _is_same_machine(known: Host, host: Host) -> bool:
    """An address behind a jump host is another machine's than the same address here."""
    return known.name != host.name and (known.where, known.way.proxy) == (host.where, host.way.proxy)


@contextmanager
def _pinned(project: Project, host: Host, accept_key: str, confirm: Callable[[str], bool]) -> Iterator[None]:
    """The host's key is expected while the block runs and afterwards; no more when the block fails."""
    with step(f"reading the host key of {host.where}"):
        key = shown_key(host, PATIENCE, _known(project, host))
    if _is_expected(project, host, key, accept_key, confirm):
        yield
        return
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = project.pins.read_bytes() if project.pins.exists() else b""
    pin(project.pins, host.address, host.port, f"{key.get_name()} {key.get_base64()}", alias=host.way.alias)
    try:
        yield
    except BaseException:
        write_durably(project.pins, before)
        raise


def _known(project: Project, host: Host) -> Expected:
    return KnownHosts(project.pins, OWN_PINS).of(host)


def _is_expected(project: Project, host: Host, key: paramiko.PKey, accept_key: str, confirm: Callable[[str], bool]) -> bool:
    """Whether the key is pinned already; false when it may be pinned now. Raises HostKeyRefused when it may not."""
    shown = key.fingerprint
    if accept_key and accept_key != shown:
        raise HostKeyRefused(host.name, f"shows the host key {shown}, not {accept_key}; nothing was written", "compare it there")
    expected = _known(project, host)
    if is_expected(expected, key):
        return True
    refused = WrongHostKey(key, expected)
    if refused.shown in expected.revoked:
        raise refused_key(host, refused)
    if expected.keys and not accept_key:
        pinned = " or ".join(other.fingerprint for other in expected.keys)
        reason = f"its host key has changed: {shown} at {host.where}, pinned is {pinned}; nothing was written"
        raise HostKeyRefused(host.name, reason, f"if you replaced the machine: --accept-key {shown}")
    say(f"  {host.where} shows the host key {shown} ({key.get_name()})")
    if not accept_key and not confirm("Is that the machine's own key?"):
        reason = f"shows the host key {shown}, which is not confirmed; nothing was written"
        raise HostKeyRefused(host.name, reason, f"if that is the right machine: --accept-key {shown}")
    return False


def _check_login(project: Project, host: Host) -> None:
    """Raises NodeFailure when the host cannot be administered: login, sudo, python3."""
    fleet = Fleet([host], KnownHosts(project.pins, OWN_PINS), project.login_key, PATIENCE)
    try:
        admin = fleet.admin(host.name)
        done = admin.run(Command(("python3", "-c", PYTHON_CHECK)))
        known = read_facts("", admin.run(ask_machine()).stdout)
        _check_machine(project, host, known)
        refuse_old_names(project.cluster, project.inventory().nodes, host, known.node_name or "", admin)
    except LoginRefused as refused:
        remedy = f"{refused.remedy}; or name --user and --key-file. Nothing was written"
        raise LoginRefused(host.name, refused.reason, remedy) from refused
    finally:
        fleet.close()
    found = next((line.removeprefix("python ") for line in done.stdout.splitlines() if line.startswith("python ")), "")
    if not found and done.code != NOT_FOUND:
        strange = another_program(host.name, done)
        raise NodeFailure(host.name, f"{strange.reason}; nothing was written", strange.remedy)
    if not done.ok:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        reason = f"has python3 {found}, older than {oldest}" if found else "has no python3, which the role needs"
        raise NodeFailure(host.name, f"{reason}; nothing was written", "install it there, such as with apt-get install python3")


def _check_machine(project: Project, host: Host, found: Facts) -> None:
    """Raises Conflict when the machine is a node already, under the name that the role gave to it."""
    inventory = project.inventory(secrets=True)
    name = found.node_name or ""
    if not found.machine or name not in inventory.nodes or name == host.name:
        return
    fleet = Fleet([inventory.hosts[name]], KnownHosts(project.pins, OWN_PINS), project.login_key, PATIENCE)
    try:
        other = read_facts("", fleet.runner(name).run(ask_machine()).stdout)
    except NodeFailure:
        # Out of reach under that name: the machine got another address, or is a clone. The role gives it its new name, if
        # nothing runs there under the old one.
        return
    finally:
        fleet.close()
    if other.machine == found.machine:
        raise Conflict(f"{host.where} is the machine of {name}; nothing was written", "one machine is one node")


def _make_ready(project: Project, name: str) -> None:
    """By the roles, then by one use as every day. In agents mode the control plane learns of the node at the same time."""
    if mode_of(project) == AGENTS:
        tell(provision(project, f"{CONTROL_PLANE},{name}"))
    else:
        tell(provision(project, name, BARE_NODE))
    use_once(project, name, PATIENCE)
