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


class Following(Runner, Protocol):
    """A runner that can also hand over what a command prints as it comes."""

    def follow(self, command: Command, on_data: Callable[[bytes], None]) -> None: ...  # pragma: no cover


class RootRunner:
    """A `Runner` for commands without input. Raises LoginRefused in clear words when sudo says no, or the inventory
    wants another way than sudo."""

    def __init__(self, host: Host, runner: Following) -> None:
        self._host = host
        self._runner = runner

    def run(self, command: Command) -> Completed:
        self._check()
        done = self._runner.run(as_root(command, self._host))
        if (failure := refusal(done, self._host)) is not None:
            raise failure
        return done

    def follow(self, command: Command, on_data: Callable[[bytes], None]) -> None:
        self._check()
        self._runner.follow(as_root(command, self._host), on_data)

    def _check(self) -> None:
        if (refused := self._host.root_refused) is not None:
            raise LoginRefused(self._host.name, refused.reason, refused.remedy)
