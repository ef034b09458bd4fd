"""The front of a node in agents mode: its agent tells Caddy what the api-server says, and tells the api-server what Caddy has.

With the server away the front serves what it was told last.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from controllers.contact import Contact
from controllers.front import Keeper
from duckconf.acme import Acme
from duckconf.command import Runner
from duckconf.errors import DuckconfError, NotNow
from duckconf.events import Event
from duckconf.front import Serving, from_json
from duckconf.leaving import Where
from duckconf.reach.api.agent_config import AgentConfig

log = logging.getLogger("agent")

# The role `edge` puts it there, perhaps after the agent has begun.
FILE = Path("/etc/duckconf/edge.json")
LOOK_FOR_FILE_EVERY = 5.0
HELD = 25.0
# A server that has not heard all nodes yet is asked again soon.
SOON = 0.5
TELL_EVERY = 10.0
# The longest pause after a failure. Instances that leave are waited for meanwhile, and there are few fronts.
LONGEST_PAUSE = 1.0


class Edge:
    """The threads of a node that runs a front; on another one, one that waits."""

    def __init__(self, config: AgentConfig, runner: Runner, tell: Callable[[Event], None]) -> None:
        self._config = config
        self._runner = runner
        self._tell = tell
        self._changed = threading.Event()
        self._revision = ""

    def run(self) -> None:
        """For a thread of its own: for ever."""
        while (acme := _acme(FILE)) is None:
            time.sleep(LOOK_FOR_FILE_EVERY)
        keeper = Keeper(self._config.node, acme, lambda: self._runner, self._changed.set, self._tell)
        threading.Thread(target=keeper.run, name="front", daemon=True).start()
        threading.Thread(target=self._report, args=(keeper,), name="front-report", daemon=True).start()
        contact = Contact(self._config)
        while True:
            try:
                keeper.trust(_acme(FILE) or acme)
                self._follow(keeper, contact)
                contact.fine()
            except DuckconfError as error:
                log.debug("the front keeps what it was told last: %s", error)
                time.sleep(contact.pause(LONGEST_PAUSE))

    def _follow(self, keeper: Keeper, contact: Contact) -> None:
        held = HELD if self._revision else 0.0
        more = f"?since={self._revision}&wait={held:g}" if held else ""
        answer = contact.call("GET", f"/front/{self._config.node}{more}", held=held)
        try:
            servings: list[Serving] = [from_json(entry) for entry in answer["routes"]]
            names: dict[str, Where] = {str(key): (str(node), str(name)) for key, (node, name) in answer["names"].items()}
            complete, told, revision = bool(answer["complete"]), bool(answer["told"]), str(answer["revision"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotNow(f"the api-server's answer cannot be understood: {type(error).__name__} {error}") from error
        if complete:
            keeper.want(servings, names)
            self._revision = revision
            if not told:
                self._changed.set()
        else:
            time.sleep(SOON)

    def _report(self, keeper: Keeper) -> None:
        contact = Contact(self._config)
        while True:
            self._changed.wait(TELL_EVERY)
            self._changed.clear()
            if not keeper.is_told():
                # "Nothing" would be believed, and what the front still sends requests to would be stopped.
                continue
            try:
                contact.call("PUT", f"/front/{self._config.node}", {"has": [list(where) for where in sorted(keeper.has())]})
                contact.fine()
            except DuckconfError:
                time.sleep(contact.pause(LONGEST_PAUSE))
                self._changed.set()


def _acme(path: Path) -> Acme | None:
    """None while there is no such file, or one that is not whole."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return Acme(str(content["directory"]), str(content["email"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
