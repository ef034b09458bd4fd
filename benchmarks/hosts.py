"""Hosts of one's own beside what people do by hand, in the same run: `python -m benchmarks.hosts`, or `./inv bench hosts`.

`push`: a 200 MB image to three engines, against `podman save | ssh | podman load`. `provision`: three nodes with nothing
to change. `look`: `nodes` and `ps` over a hundred SSH hosts, asked of the running loop and from nothing, beside pyinfra and
Ansible. Each is a whole process. Prints a table and writes `.duckconf/bench/hosts.json`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks import competitors
from benchmarks.clients.passes import read_target
from benchmarks.engine_hosts import EngineHosts, engine_hosts
from benchmarks.many_hosts import ANSIBLE, EXEC
from benchmarks.measure import FOLDER, Row, await_rest, report, timed
from benchmarks.ports import free_ports
from benchmarks.ssh_farm import ADDRESSES, APPS_PER_HOST, CLUSTER, Farm, ssh_farm
from duckconf.cli.cluster import bring_up
from duckconf.cli.cluster.modes import RECONCILE
from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_engine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say, step
from duckconf.errors import DuckconfError, SetupError
from duckconf.observation import Observation
from duckconf.reach.inventory.project import load_project
from duckconf.reach.state import observer_socket

IMAGE = "localhost/duckconf/bench-200mb"
MEGABYTES = 200
RUN_SECONDS = 300
AGAIN = 0.2
# How a look is asked for, and how many seconds it may take.
LOOKS = {"": 0.5, " --fresh": 2.5}
INV = str(ROOT / "inv")


def pushes(local: LocalEngine, rounds: int) -> list[Row]:
    """Ours and by hand in turns, the image gone from the nodes between them; then once more with it there."""
    _build(local)
    ours: list[float] = []
    by_hand: list[float] = []
    again: list[float] = []
    try:
        with engine_hosts(local) as hosts:
            for _ in range(rounds):
                ours.append(timed(lambda: _push(hosts)))
                again.append(timed(lambda: _push(hosts)))
                _remove(hosts)
                by_hand.append(timed(lambda: _by_hand(hosts)))
                _remove(hosts)
    finally:
        local.run("rmi", IMAGE)
    return [
        Row(
            f"push-image, {MEGABYTES} MB to {len(hosts.names)} nodes, beside podman save | ssh | podman load", ours, by_hand, 1.0
        ),
        Row("push-image when all have it", again, (), 1.0),
    ]


def _build(local: LocalEngine) -> None:
    """Half of it cannot be compressed, half of it is words."""
    source = random.Random(1)  # noqa: S311 - the same image each time
    words = [source.randbytes(4).hex() for _ in range(5000)]
    with step(f"building an image of {MEGABYTES} MB"), tempfile.TemporaryDirectory() as context:
        with (Path(context) / "data").open("wb") as file:
            for _ in range(MEGABYTES // 2):
                file.write(source.randbytes(1_000_000))
                file.write(" ".join(source.choices(words, k=112_000)).encode()[:1_000_000])
        (Path(context) / "Containerfile").write_text("FROM scratch\nCOPY data /data\n")
        local.must("build", "-q", "-t", IMAGE, context, deadline=300)


def _push(hosts: EngineHosts) -> None:
    done = hosts.inv("push-image", IMAGE)
    if done.returncode:
        raise SetupError(f"push-image failed: {done.stderr.strip()}")


def _by_hand(hosts: EngineHosts) -> None:
    inventory = hosts.project.inventory()

    def one(node: str) -> None:
        host = inventory.node(node)
        ssh = f"ssh -F none -o UserKnownHostsFile={hosts.project.pins} -i {host.key_file} -p {host.port} root@{host.address}"
        line = f"set -o pipefail; podman save -q {IMAGE} | {ssh} podman load -q"
        subprocess.run(["bash", "-c", line], env=hosts.environ, check=True, capture_output=True, timeout=RUN_SECONDS)

    with ThreadPoolExecutor(len(hosts.names)) as pool:
        list(pool.map(one, hosts.names))


def _remove(hosts: EngineHosts) -> None:
    for node in hosts.names:
        if not (done := hosts.inside(node, "podman", "rmi", IMAGE)).ok:
            raise SetupError(f"{node}: {done.stderr.strip()}")


def looks(local: LocalEngine, rounds: int) -> list[Row]:
    """A hundred hosts: beside a loop that is connected to them, and with nothing connected before."""
    rivals = competitors.rivals_python()
    with tempfile.TemporaryDirectory() as name, ssh_farm(local, Path(name)) as farm:
        runs = {
            **{f"nodes{how}": _task(farm, 1, '"ready"', "nodes", *how.split()) for how in LOOKS},
            **{f"ps{how}": _task(farm, APPS_PER_HOST, '"running"', "ps", *how.split()) for how in LOOKS},
            **_rivals(farm, rivals),
        }
        taken: dict[str, list[float]] = {name: [] for name in runs}
        with _state_in_checkout(farm), _loop(farm):
            say(f"  {rounds} looks each, in turns")
            for _ in range(rounds):
                for name, run in runs.items():
                    await_rest()
                    taken[name].append(run())
    rows = []
    for task, (how, most) in itertools.product(("nodes", "ps"), LOOKS.items()):
        rows.append(Row(f"./inv {task}{how} of {len(ADDRESSES)} hosts", taken[task + how], (), most))
        for rival in (EXEC, ANSIBLE):
            floor = taken.get(rival, ())
            rows.append(Row(f"  beside {rival}", taken[task + how], floor, None, note="" if floor else "not here"))
    return rows


def _task(farm: Farm, per_host: int, mark: str, *task: str) -> Callable[[], float]:
    rows = len(ADDRESSES) * per_host
    return lambda: competitors.run_anew((INV, *task, "--json"), _environ(farm), ROOT, rows, mark)[0]


def _environ(farm: Farm) -> dict[str, str]:
    return {"DUCKCONF_INVENTORY": str(farm.folder / "hosts.ini"), "DUCKCONF_CLUSTER": CLUSTER}


def _rivals(farm: Farm, rivals: Path | None) -> dict[str, Callable[[], float]]:
    command = read_target(str(farm.target)).command
    rows = len(ADDRESSES) * APPS_PER_HOST
    argv, environ = competitors.ansible(farm.folder, command)

    def ansible() -> float:
        # Its ssh would keep the connections for the next time.
        kept = {**environ, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
        return competitors.run_anew(argv, kept, farm.folder, rows)[0]

    runs = {ANSIBLE: ansible}
    if rivals is not None:
        pyinfra = competitors.pyinfra_exec(rivals, farm.folder, farm.hosts, command)
        runs[EXEC] = lambda: competitors.run_anew(pyinfra, {}, farm.folder, rows)[0]
    return runs


@contextmanager
def _state_in_checkout(farm: Farm) -> Iterator[None]:
    """`./inv` looks for a cluster's state in its own checkout."""
    state = ROOT / ".duckconf" / CLUSTER
    shutil.copytree(farm.folder / ".duckconf" / CLUSTER, state)
    try:
        (state / "mode").write_text(f"{RECONCILE}\n")
        yield
    finally:
        shutil.rmtree(state)


@contextmanager
def _loop(farm: Farm) -> Iterator[None]:
    """The loop that `up reconcile` starts, once it knows all hosts and has nothing to do."""
    project = load_project(ROOT, _environ(farm))
    argv = (sys.executable, "-m", "controllers.loop", "--project", str(ROOT))
    with (farm.folder / "loop.log").open("wb") as log:
        loop = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **_environ(farm)}, stdout=log, stderr=log)
    try:
        end = time.monotonic() + RUN_SECONDS
        while not _knows_all(observer_socket.ask(project.state, project.inventory(secrets=True).node_hosts())):
            if loop.poll() is not None or time.monotonic() > end:
                raise SetupError(f"the loop does not see all hosts: {(farm.folder / 'loop.log').read_text()[-300:]}")
            time.sleep(AGAIN)
        yield
    finally:
        loop.terminate()
        loop.wait()


def _knows_all(told: Observation | None) -> bool:
    return (
        told is not None and len(told.facts) == len(ADDRESSES) and all(isinstance(found, tuple) for found in told.seen.values())
    )


def provisions(local: LocalEngine, rounds: int) -> list[Row]:
    """Three demo nodes and a control plane that have everything."""
    with provisioned_cluster() as environ:

        def run() -> str:
            argv = (INV, "provision")
            return subprocess.run(argv, env=environ, check=True, capture_output=True, text=True, timeout=RUN_SECONDS).stdout

        def run_unchanged() -> None:
            if " changed " in (table := run()):
                raise SetupError(f"provision changed something: {table}")

        run()
        return [Row("provision with nothing to change, 3 nodes", [timed(run_unchanged) for _ in range(rounds)], (), 8.0)]


@contextmanager
def provisioned_cluster() -> Iterator[dict[str, str]]:
    """Demo hosts as `up agents` makes them, under a name and ports of their own, gone afterwards."""
    cluster = f"bh{os.getpid()}"
    *ports, control, api = free_ports("127.0.0.1", 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hosts.ini"
        nodes = [f"node-{number} ansible_port={port}" for number, port in enumerate(ports, 1)]
        variables = [f"duckconf_cluster={cluster}", "duckconf_provider=container", "ansible_host=127.0.0.1"]
        lines = ["[nodes]", *nodes, "[control_plane]", f"control-1 ansible_port={control}", "[all:vars]", *variables, ""]
        path.write_text("\n".join(lines))
        ours = {"DUCKCONF_INVENTORY": str(path), "DUCKCONF_CLUSTER": cluster, "DUCKCONF_API": f"http://127.0.0.1:{api}"}
        environ = {**os.environ, **ours}
        project = load_project(ROOT, environ)
        try:
            with step("bringing a cluster up in agents mode"):
                subprocess.run([INV, "up", "agents"], env=environ, check=True, capture_output=True, timeout=RUN_SECONDS)
            yield environ
        finally:
            bring_up.down(project, purge=False)
            shutil.rmtree(project.state, ignore_errors=True)


PARTS = {"push": pushes, "provision": provisions, "look": looks}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts")
    parser.add_argument("--rounds", type=int, default=15, help="of looks; a fifth as many of the others, which take long")
    parser.add_argument("--only", choices=PARTS, help="one part")
    asked = parser.parse_args()
    # What was started is taken away also when the bench is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    local = LocalEngine(ROOT)
    try:
        require_engine()
        ensure_images(local, ROOT)
        parts = [asked.only] if asked.only else list(PARTS)
        rows = [row for part in parts for row in PARTS[part](local, max(1, asked.rounds // (1 if part == "look" else 5)))]
    except (DuckconfError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(rows, FOLDER / "hosts.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
