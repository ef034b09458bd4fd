"""`./inv watch`: the live picture on a whole screen, and keys that begin the tasks which a person would type.

Here the parts meet: stream, terminal, children. What is drawn and what a key means is decided in duckconf/watching.
"""

from __future__ import annotations

import os
import sys
import time

from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.screen import Ended, Screen
from duckconf.cli.watch.children import Log, Tasks
from duckconf.cli.watch.link import Link
from duckconf.errors import DuckconfError
from duckconf.reach.inventory.project import Project
from duckconf.watching.scene import Scene, drawn
from duckconf.watching.view import View, pressed

# Seconds. Ages are drawn anew once a second; changes that come together are drawn once, and where that takes long, so many times
# its own duration is left to others.
EVERY = 1.0
TOGETHER = 0.05
SHARE = 4.0


def watch(project: Project) -> int:
    """The exit code: 0 after q, 128 and the number of the signal that ended it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise DuckconfError(
            "watch needs a terminal that shows a full screen", "use ./inv status, or ./inv ps --json in a program"
        )
    watcher: Watcher | None = None
    try:
        with Screen() as screen:
            watcher = Watcher(project, screen)
            watcher.run()
    except Ended as ended:
        return ended.code
    finally:
        for line in watcher.close() if watcher is not None else ():
            say(line)
    return 0


class Watcher:
    def __init__(self, project: Project, screen: Screen) -> None:
        self._screen = screen
        self._link = Link(project, screen.wake)
        self._tasks = Tasks(screen.wake)
        self._log: Log | None = None
        self._view = View()

    def run(self) -> None:
        """Until a key ends it."""
        self._link.start()
        due = 0.0
        while True:
            now = time.monotonic()
            if now >= due:
                begun = time.thread_time()
                self._draw()
                due = now + max(TOGETHER, (time.thread_time() - begun) * SHARE)
                wait = EVERY - time.time() % EVERY
            else:
                wait = due - now
            for key in self._screen.keys(wait):
                if self._press(key):
                    return
                due = 0.0

    def close(self) -> list[str]:
        """To be called when the screen is gone; returns what is to be said of what was under way."""
        if self._log is not None:
            self._log.close()
        return self._tasks.finish()

    def _press(self, key: str) -> bool:
        """Says whether this was the last one."""
        self._tasks.told = ""
        self._view, do = pressed(self._view, key, self._link.known.picture)
        if do.run:
            self._tasks.begin(do.run)
        if do.close and self._log is not None:
            self._log.close()
            self._log = None
        if do.log:
            self._log = Log(do.log, self._screen.wake)
        return do.quit

    def _draw(self) -> None:
        known = self._link.known
        if known.fault is not None:
            raise known.fault
        scene = Scene(
            known.picture,
            time.time() + known.skew,
            self._link.events,
            known.stale(time.monotonic()),
            known.why,
            self._tasks.running,
            self._tasks.told,
            self._log.lines if self._log is not None else (),
            lambda moment: time.strftime("%H:%M:%S", time.localtime(moment)),
        )
        self._screen.show(drawn(scene, self._view, *self._screen.size))
