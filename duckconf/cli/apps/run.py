"""`./inv run`: a command runs once on a node, its output is shown as it comes, and its exit code is ours. Nothing of it is left.

It goes over SSH in every mode and is no app: no loop and no agent takes care of it. The node itself removes it when our
connection ends, however we end.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from duckconf import engine
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.codec import stop_grace, to_label
from duckconf.engine_output import engine_named
from duckconf.errors import DuckconfError, NodeFailure, NoNodeReachable, NotFound
from duckconf.model import App, parse_app
from duckconf.naming import ENV_NODE, public_image, run_container, run_labels
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.actuator import clean_up
from duckconf.reach.ssh.dialogue import Attended
from duckconf.reach.ssh.runner import SshRunner
from duckconf.reach.state import cordons
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.runs import Runs
from duckconf.spreading import round_robin

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ENDED_BY_SIGNAL = 128
LEFT = "its container is removed by the node itself, or else by the next ./inv run there"

Signals = queue.SimpleQueue[int]


def run(project: Project, body: Mapping[str, Any], pattern: str) -> int:
    """The exit code of the command. Raises DuckconfError when it could not be started, or when it is not known how it ended."""
    app, runs = parse_app(body), Runs(project.state)
    with open_cluster(project) as cluster:
        skipped: dict[str, str] = {}
        for node in round_robin(_nodes(project, cluster, pattern), runs.take_turn()):
            runner = cluster.fleet.runner(node)
            try:
                runner.open()
            except NodeFailure as failure:
                skipped[node] = failure.reason
                print(f"skipped {node}: {failure.reason}", file=sys.stderr)
                continue
            return _run_on(project, runs, node, runner, app)
    raise NoNodeReachable(skipped)


def _nodes(project: Project, cluster: Cluster, pattern: str) -> list[str]:
    """Those that the pattern means, without the cordoned ones. Raises NotFound."""
    cordoned = _cordoned(project)
    meant = [host.name for host in chosen_nodes(project, cluster.inventory, pattern)]
    if nodes := [node for node in meant if node not in cordoned]:
        return nodes
    raise NotFound(f"no node is left: {', '.join(meant) or 'none'} cordoned", "to use one again: ./inv uncordon NODE")


def _cordoned(project: Project) -> set[str]:
    if mode_of(project) != AGENTS:
        names = (Cordons(project.state / name).names() for name in (cordons.FILE_NAME, cordons.DRAINS_NAME))
        return set().union(*names)
    try:
        return {str(row["name"]) for row in api_client(project).call("GET", "/nodes")["nodes"] if row["cordoned"]}
    except DuckconfError as error:
        print(f"which nodes are cordoned is not known: {error}", file=sys.stderr)
        return set()


def _run_on(project: Project, runs: Runs, node: str, runner: SshRunner, app: App) -> int:
    for left in runs.left_on(node):
        if clean_up(node, left, project.cluster, runner):
            print(f"removed {left} from {node}: its connection had broken", file=sys.stderr)
        runs.settle(left)
    there = runner.run(engine.ask_entrypoint(app.image))
    if there.ok and sys.stderr.isatty() and (note := entrypoint_note(app, there.stdout)):
        print(note, file=sys.stderr)
    if not there.ok and (public := public_image(app.image)):
        # A short name means what it means on docker, as for an app.
        app = replace(app, image=public)
    kind = engine_named(runner.run(engine.ask_version())) if engine.depends_on_engine(app) else ""
    container = run_container(project.cluster, secrets.token_hex(6))
    command = engine.attended_run(container, app, run_labels(project.cluster, container), {ENV_NODE: node}, kind)
    runs.begin(container, node, os.getpid())
    with noted_signals() as (signals, caught):
        attended = runner.attend(command)
        guard = threading.Thread(target=_pass_on, args=(signals, runner, container, attended, app), daemon=True)
        guard.start()
        try:
            code = attended.pump(writer(sys.stdout.buffer), writer(sys.stderr.buffer))
        except NodeFailure as broken:
            raise type(broken)(node, broken.reason, LEFT, may_have_run=True) from broken
        finally:
            attended.close()
    if code is None or code >= ENDED_BY_SIGNAL:
        clean_up(node, container, project.cluster, runner)
    runs.settle(container)
    return exit_code(code, caught)


def exit_code(code: int | None, caught: Sequence[int]) -> int:
    """`code` is that of the container, None where it is not known, `caught` are the signals that we were sent. What was
    interrupted has not done its work, also where it ends well by itself: nothing that waits for it should go on."""
    if code is None or (caught and not code):
        return ENDED_BY_SIGNAL + (caught[0] if caught else signal.SIGINT)
    return code


def entrypoint_note(app: App, entrypoint: str) -> str:
    """What a person should know whose command goes to the entrypoint of the image, as with docker; `entrypoint` is JSON."""
    words = json.loads(entrypoint or "null")
    if not (words and app.command) or app.entrypoint:
        return ""
    typed = shlex.join(app.command)
    instead = f"./inv run {app.image} --entrypoint {shlex.quote(app.command[0])} -- {shlex.join(app.command[1:])}".rstrip(" -")
    return f"{app.image} starts {shlex.join(words)} with the arguments {typed}; to run them in its place: {instead}"


@contextmanager
def noted_signals(*more: int) -> Iterator[tuple[Signals, list[int]]]:
    """What the process is sent, instead of what it would do to it; `more` is told too, and ends nobody. A handler may only take
    note: it comes at any moment."""
    signals: Signals = queue.SimpleQueue()
    caught: list[int] = []

    def note(sent: int, _: object) -> None:
        if sent not in more:
            caught.append(sent)
        signals.put(sent)

    before = {number: signal.signal(number, note) for number in (*PASSED_ON, *more)}
    try:
        yield signals, caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(signals: Signals, runner: SshRunner, container: str, attended: Attended, app: App) -> None:
    """For a thread of its own. The first signal is the container's; when it does not end, or at the second, it is killed."""
    sent, grace = signals.get(), stop_grace(to_label(app))
    try:
        if runner.run(engine.send_signal(container, signal.Signals(sent).name)).ok:
            try:
                signals.get(timeout=grace)
            except queue.Empty:
                print(f"it did not end within {grace:g} s and is killed", file=sys.stderr)
            if runner.run(engine.kill(container)).ok:
                return
    except DuckconfError as error:
        print(f"the signal did not arrive: {error}", file=sys.stderr)
    # There is no container yet, or no way to it.
    attended.close()


def writer(stream: BinaryIO) -> Any:
    def write(data: bytes) -> None:
        stream.write(data)
        stream.flush()

    return write
