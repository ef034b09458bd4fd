"""A hundred hosts looked at by ours and by others, and three hundred connections at rest."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import competitors
from benchmarks.clients.passes import read_target
from benchmarks.competitors import Client, Taken
from benchmarks.measure import Row
from benchmarks.ssh_farm import ADDRESSES, APPS_PER_HOST, CLUSTER, Farm, ssh_farm
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say
from duckconf.errors import SetupError

WARM_UP = 3
ANEW = 2
OURS = "ours"
FABRIC = "stock Fabric"
ASYNCSSH = "asyncssh"
PYINFRA = "pyinfra API"
EXEC = "pyinfra exec"
ANSIBLE = "ansible -m raw"
OTHERS = (FABRIC, ASYNCSSH, PYINFRA, EXEC, ANSIBLE)
HERE = Path(sys.executable)


def hundred_hosts(local: LocalEngine, rounds: int) -> list[Row]:
    """One look at all of them: cold with its connections, then warm, with the client's CPU."""
    rivals = competitors.rivals_python()
    with tempfile.TemporaryDirectory() as folder, ssh_farm(local, Path(folder)) as farm:
        taken, passes = _in_turns(farm, rivals, rounds)
        taken |= _anew(farm, rivals)
    ours = taken[OURS]
    hosts = len(ADDRESSES)
    rows = [
        Row(f"{hosts} hosts, one look, warm", ours.warm, (), 0.25),
        Row(f"{hosts} hosts, one look: client CPU per host", _per_host(ours.cpu), (), 1.0, "ms"),
        Row(f"{hosts} hosts, whole pass of the loop with nothing to do", passes),
        Row(f"{hosts} hosts, connect and look", ours.cold),
    ]
    for name in OTHERS:
        rows += _beside(name, ours, taken.get(name))
    return rows


def idle_connections(local: LocalEngine) -> list[Row]:
    """Connections to three hundred hosts as the loop holds them between two passes."""
    with tempfile.TemporaryDirectory() as folder, ssh_farm(local, Path(folder), daemons=3) as farm:
        ours = _idle(Client(HERE, "ours_at_rest", str(farm.folder), CLUSTER))
        theirs = _idle(Client(HERE, "stock_fabric", str(farm.target)))
        hosts = len(farm.hosts)
    return [
        Row(f"{hosts} idle connections: CPU of a core", [ours], (), 1.0, "%"),
        Row(f"{hosts} idle connections beside {FABRIC}", [ours], [theirs], None, "%"),
    ]


def _idle(client: Client) -> float:
    with client:
        client.tell("connect")
        wall, cpu = client.tell("idle")
    return 100 * cpu / wall


def _in_turns(farm: Farm, rivals: Path | None, rounds: int) -> tuple[dict[str, Taken], list[float]]:
    """Those that keep their connections; and whole passes of ours."""
    makers: dict[str, Callable[[], Client]] = {
        OURS: lambda: Client(HERE, "ours", str(farm.folder), CLUSTER),
        FABRIC: lambda: Client(HERE, "stock_fabric", str(farm.target)),
    }
    if rivals is not None:
        makers[ASYNCSSH] = lambda: Client(rivals, "with_asyncssh", str(farm.target))
        makers[PYINFRA] = lambda: Client(rivals, "with_pyinfra", str(farm.target))
    taken: dict[str, Taken] = {}
    with ExitStack() as stack:
        clients: dict[str, Client] = {}
        for name, make in makers.items():
            say(f"  {len(farm.hosts)} hosts: {name} connects")
            try:
                client = stack.enter_context(make())
                taken[name] = Taken([client.tell("connect")[0]])
                for _ in range(WARM_UP):
                    client.tell("look")
                clients[name] = client
            except SetupError as error:
                if name == OURS:
                    raise
                say(f"  {name} is not here: {error}")
                taken.pop(name, None)
        say(f"  {rounds} looks each, in turns")
        for _ in range(rounds):
            for name, client in clients.items():
                wall, cpu = client.tell("look")
                taken[name].warm.append(wall)
                taken[name].cpu.append(cpu)
        passes = [clients[OURS].tell("pass")[0] for _ in range(WARM_UP + rounds)][WARM_UP:]
    return taken, passes


def _anew(farm: Farm, rivals: Path | None) -> Mapping[str, Taken]:
    """Those that are run anew for each look: Ansible's ssh keeps its connections, pyinfra's does not."""
    command = read_target(str(farm.target)).command
    runs: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {ANSIBLE: competitors.ansible(farm.folder, command)}
    if rivals is not None:
        runs[EXEC] = competitors.pyinfra_exec(rivals, farm.folder, farm.hosts, command), {}
    taken: dict[str, Taken] = {}
    for name, (argv, environ) in runs.items():
        say(f"  {len(farm.hosts)} hosts: {name}")
        try:
            took = [competitors.run_anew(argv, environ, farm.folder, len(farm.hosts) * APPS_PER_HOST) for _ in range(1 + ANEW)]
            taken[name] = Taken([took[0][0]], [wall for wall, _ in took[1:]], [cpu for _, cpu in took[1:]])
        except (SetupError, OSError) as error:
            say(f"  {name} is not here: {error}")
    return taken


def _beside(name: str, ours: Taken, theirs: Taken | None) -> list[Row]:
    warm, cpu, cold = f"  warm, beside {name}", f"  client CPU per host, beside {name}", f"  connect and look, beside {name}"
    if theirs is None:
        return [Row(warm, ours.warm, note="not here")]
    return [
        Row(warm, ours.warm, theirs.warm),
        Row(cpu, _per_host(ours.cpu), _per_host(theirs.cpu), None, "ms"),
        Row(cold, ours.cold, theirs.cold),
    ]


def _per_host(cpu: Sequence[float]) -> list[float]:
    return [1000 * seconds / len(ADDRESSES) for seconds in cpu]
