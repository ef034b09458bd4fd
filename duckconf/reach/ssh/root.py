"""A node's commands as root: a `Runner` over another one, with sudo where the login needs it.

Only administration uses it (services, their journals, what the roles left there), never the daily work of the modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from duckconf.become import as_root, refusal
from duckconf.command import Command, Completed, Runner
from duckconf.errors import LoginRefused
from duckconf.inventory import Host
from duckconf.reach.ssh.dialogue import Attended


class Attending(Runner, Protocol):
    """A runner that can also hand over what a command prints as it comes."""

    def attend(self, command: Command) -> Attended: ...  # pragma: no cover


class RootRunner:
    """A `Runner` for commands without input. Raises LoginRefused in clear words when sudo says no, or the inventory
    wants another way than sudo."""

    def __init__(self, host: Host, runner: Attending) -> None:
        self._host = host
        self._runner = runner

    def run(self, command: Command) -> Completed:
        self._check()
        done = self._runner.run(as_root(command, self._host))
        if (failure := refusal(done, self._host)) is not None:
            raise failure
        return done

    def follow(self, command: Command, on_data: Callable[[bytes], None]) -> None:
        """Until it ends. A host that freezes meanwhile is noticed; raises NodeFailure."""
        self._check()
        wanted, said = as_root(command, self._host), list[bytes]()
        attended = self._runner.attend(wanted)
        try:
            # A password at most, for which there is always room.
            attended.feed([wanted.stdin])
            code = attended.pump(on_data, said.append)
        finally:
            attended.close()
        done = Completed(code or 0, "", b"".join(said).decode("utf-8", errors="replace"))
        if (failure := refusal(done, self._host)) is not None:
            raise failure

    def _check(self) -> None:
        if (refused := self._host.root_refused) is not None:
            raise LoginRefused(self._host.name, refused.reason, refused.remedy)
