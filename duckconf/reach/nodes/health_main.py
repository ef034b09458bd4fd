"""The watcher as a program on a node: lines of its input say what to watch, lines of its output are changes of a verdict.

It ends with its input, and so with the connection of the loop that sent it. Nothing of it is a file on the node.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from duckconf.reach.nodes.watcher import Target, Verdict, Watcher


def main() -> None:
    writing = threading.Lock()

    def tell(verdict: Verdict) -> None:
        with writing:
            try:
                sys.stdout.write(json.dumps(verdict) + "\n")
                sys.stdout.flush()
            except OSError:
                _end()

    watcher = Watcher(tell)
    for line in sys.stdin:
        told = json.loads(line)
        if "forget" in told:
            watcher.forget(told["forget"])
        else:
            watcher.watch([Target(*target) for target in told["watch"]])
    _end()


def _end() -> None:
    """At once, with the commands that are under way: sshd gave us a process group of our own."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)
    os._exit(0)
