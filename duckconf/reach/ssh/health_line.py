"""One node's watcher, run over SSH: its sources are sent, then what to watch; what comes back are changes of a verdict.

One channel of the connection that is open anyway, as long as there is something to watch, instead of one for each check.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable, Sequence

from duckconf import durations, healthcheck
from duckconf.command import Command
from duckconf.engine_output import NOT_FOUND
from duckconf.errors import NodeFailure
from duckconf.reach.nodes import health_main, probe, watcher
from duckconf.reach.nodes.watcher import Target, Verdict
from duckconf.reach.ssh.runner import SshRunner

# In the order in which they import each other.
SENT = (durations, healthcheck, probe, watcher, health_main)
READS_ITSELF = """\
import json, sys, types
for name, source in json.loads(sys.stdin.readline()):
    parts = name.split(".")
    for depth in range(1, len(parts)):
        package = sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
        package.__path__ = []
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""
# Seconds after which a watcher that ended is started again.
AGAIN = 5.0
# Seconds without anything to watch after which it is ended: a container that is restarted is soon there again.
IDLE = 60.0


def command() -> Command:
    return Command(("python3", "-I", "-c", READS_ITSELF))


def opening() -> bytes:
    """What it reads first: itself."""
    return json.dumps([[module.__name__, inspect.getsource(module)] for module in SENT]).encode() + b"\n"


class HealthLine:
    """`tell` gets each verdict, from a thread of the line; `trouble` why nothing can be checked there, once for each reason."""

    def __init__(self, runner: Callable[[], SshRunner], tell: Callable[[Verdict], None], trouble: Callable[[str], None]) -> None:
        """`runner` gives the node's runner of now; raises KeyError when it has none any more."""
        self._runner = runner
        self._tell = tell
        self._trouble = trouble
        self._troubled = ""
        self._news = threading.Condition()
        self._targets: tuple[Target, ...] = ()
        self._said: tuple[Target, ...] | None = None
        self._forgotten: list[str] = []
        self._begun = False

    def watch(self, targets: Sequence[Target]) -> None:
        """These from now on, and no others; returns at once."""
        with self._news:
            if self._targets != tuple(targets):
                self._targets = tuple(targets)
                self._news.notify_all()
            if targets and not self._begun:
                self._begun = True
                threading.Thread(target=self._run, name="health", daemon=True).start()

    def forget(self, container: str) -> None:
        """It was restarted: its verdict does not count any more."""
        with self._news:
            self._forgotten.append(container)
            self._news.notify_all()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: bool(self._targets))
            try:
                self._talk()
            except KeyError:
                # No node any more. Should it come back, the next look begins again.
                self._begun = False
                return
            except (NodeFailure, OSError, EOFError):
                # Whoever looks at the node says that it is away.
                time.sleep(AGAIN)

    def _talk(self) -> None:
        with self._runner().talk(command()) as talk:
            talk.send(opening())
            ended = threading.Event()
            threading.Thread(target=self._say, args=(talk.send, talk.hang_up, ended), name="health-say", daemon=True).start()
            try:
                for line in talk.lines():
                    self._hear(line)
            finally:
                ended.set()
                with self._news:
                    self._news.notify_all()
            self._note(code := talk.exit_code())
        if code != 0:
            time.sleep(AGAIN)

    def _hear(self, line: bytes) -> None:
        try:
            verdict = Verdict(*json.loads(line))
        except (ValueError, TypeError):
            return
        self._tell(verdict)

    def _say(self, send: Callable[[bytes], None], hang_up: Callable[[], None], ended: threading.Event) -> None:
        """Tell it what to watch whenever that has changed, until there has been nothing for a while."""
        self._said = None
        while True:
            with self._news:
                idle = None if self._said != () else IDLE
                news = self._news.wait_for(lambda: self._targets != self._said or self._forgotten or ended.is_set(), idle)
                targets, forgotten = self._targets, self._forgotten
                self._said, self._forgotten = targets, []
            if ended.is_set():
                return
            try:
                for container in forgotten:
                    send(json.dumps({"forget": container}).encode() + b"\n")
                send(json.dumps({"watch": targets}).encode() + b"\n")
            except (OSError, EOFError):
                return
            if not news:
                hang_up()
                return

    def _note(self, code: int) -> None:
        trouble = "health checks need python3 on it, which is not found" if code == NOT_FOUND else ""
        if trouble and trouble != self._troubled:
            self._trouble(trouble)
        self._troubled = trouble
