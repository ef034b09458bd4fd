"""`./inv exec`: a command in a container that runs, with the terminal where there is one, and its exit code is ours.

It goes over SSH to the node's own engine, in every mode, and only into containers of this cluster.
"""

from __future__ import annotations

import secrets
import shlex
import signal
import sys
import threading

from duckconf.cli.apps.run import Signals, exit_code, noted_signals, writer
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.look.absent import why_absent
from duckconf.cli.terminal.own_terminal import lent, own_terminal, typed
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, NotFound
from duckconf.inside import Greeting, Inside, Terminal, run_inside, signal_inside
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.actuator import require_own
from duckconf.reach.ssh.dialogue import Attended
from duckconf.reach.ssh.runner import SshRunner

# So many signals in vain, and the command is left alone.
IN_VAIN = 3
# Seconds. What it prints may be here before its process id, which comes on another stream.
GREETED = 1.0


def exec_inside(project: Project, name: str, command: str, user: str, folder: str) -> int:
    """The exit code of the command. Raises DuckconfError where it could not be started, or it is not known how it ended."""
    what = Inside(shlex.split(command), user, folder)
    with open_cluster(project, warm=True) as cluster:
        container, runner = own_container(project, cluster, name)
        if not container.running:
            raise DuckconfError(
                f"{name} does not run on {container.node}: its container is {container.state}", f"see `./inv logs {name}`"
            )
        return _attend(container, runner, what, own_terminal())


def own_container(project: Project, cluster: Cluster, name: str) -> tuple[Container, SshRunner]:
    """The container that a name means, of this cluster and on the node that has it. Raises NotFound."""
    try:
        container = cluster.find(name)
    except NotFound as missing:
        raise why_absent(project, name) or missing from None
    runner = cluster.fleet.runner(container.node)
    require_own(container.node, container.name, project.cluster, runner)
    return container, runner


def _attend(container: Container, runner: SshRunner, what: Inside, terminal: Terminal | None) -> int:
    token = secrets.token_hex(8)
    greeting, told = Greeting(token), threading.Event()
    out, err = writer(sys.stdout.buffer), writer(sys.stderr.buffer)

    def greeted(data: bytes) -> None:
        if rest := greeting.after(data):
            (err if terminal is None else out)(rest)
        if greeting.process is not None:
            told.set()

    command = run_inside(container.name, what, token, terminal=terminal is not None)
    with noted_signals(signal.SIGWINCH) as (signals, caught), lent(terminal):
        attended = runner.attend(command, terminal)
        for work, words in ((_pass_on, (signals, runner, container, greeting, told, attended)), (attended.feed, (typed(),))):
            threading.Thread(target=work, args=words, daemon=True).start()
        try:
            # A terminal has one stream, on which the process id comes first.
            code = attended.pump(*(out, greeted) if terminal is None else (greeted, err))
        except NodeFailure as broken:
            raise type(broken)(broken.node, broken.reason, "the command may go on there", may_have_run=True) from broken
        finally:
            attended.close()
        (err if terminal is None else out)(greeting.end())
    return exit_code(code, caught)


def _pass_on(
    signals: Signals, runner: SshRunner, container: Container, greeting: Greeting, greeted: threading.Event, attended: Attended
) -> None:
    """For a thread of its own: signals go to the command, and the size of the terminal to its own."""
    sent = 0
    while True:
        number = signals.get()
        if number == signal.SIGWINCH:
            if (terminal := own_terminal()) is not None:
                attended.resize(terminal.columns, terminal.rows)
            continue
        sent += 1
        greeted.wait(GREETED)
        if greeting.process is None or sent > IN_VAIN or not _sent(runner, container, greeting.process, number):
            # It has not begun, cannot be told (its image has no shell), or does not listen.
            attended.close()
            return


def _sent(runner: SshRunner, container: Container, process: int, number: int) -> bool:
    name = signal.Signals(number).name.removeprefix("SIG")
    try:
        return runner.run(signal_inside(container.name, process, name)).ok
    except DuckconfError as error:
        print(f"the signal did not arrive: {error}", file=sys.stderr)
        return False
