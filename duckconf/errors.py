"""Every error that Duckconf raises on purpose, classed by what the caller can do about it.

Each carries facts (`message`) and a way out (`remedy`); they are printed once, at the edge: `cli/terminal/edge.py`
turns them into one line and an exit code, `api/problems.py` into problem details.
"""

from __future__ import annotations

from dataclasses import dataclass


class DuckconfError(Exception):
    """What was wrong, in one sentence, and what to do next ("" when nothing sensible can be said)."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: `path` such as `ports/0` ("" for the whole), and what would be right."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class BadInput(DuckconfError):
    """The caller sent something that cannot be meant; sending it again will fail again."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class SetupError(DuckconfError):
    """The machine or the project folder lacks something: a program, a file, a free port."""


class NotFound(DuckconfError):
    """The app or node that was named does not exist."""


class NodeFailure(DuckconfError):
    """This node cannot serve now, another may; the base of all per-node failures.

    `may_have_run` is true when a command had been handed over before the node fell silent, so that its effect
    may still appear.
    """

    exit_code = 4

    def __init__(self, node: str, message: str, remedy: str = "", *, may_have_run: bool = False) -> None:
        super().__init__(f"{node}: {message}", remedy)
        self.node = node
        self.reason = message
        self.may_have_run = may_have_run


class Unreachable(NodeFailure):
    """No SSH session within the deadline, or the session died."""


class LoginRefused(NodeFailure):
    """The node answered and refused our user, key or password."""


class NotSupported(NodeFailure):
    """The inventory or ssh's configuration asks for what Duckconf does not have; the node itself was not asked."""


class HostKeyRefused(NodeFailure):
    """The node's host key is unknown or not the pinned one; nothing was sent to it."""


class EngineUnavailable(NodeFailure):
    """SSH works, but the container engine on the node does not answer or is not installed."""


class Unreadable(EngineUnavailable):
    """The node answers, but not with what was asked for: another program speaks. Its containers may well run."""


class NodeRefused(NodeFailure):
    """The engine refused this app for a reason of the node, such as a port that is in use there: another node may run it.

    `kind` is one of `refusal_words`, `why` the reason in our words, `words` are the engine's.
    """

    def __init__(self, node: str, kind: str, why: str, words: str) -> None:
        super().__init__(node, f"{why}; the engine said: {words}" if words else why)
        self.kind = kind
        self.why = why
        self.words = words


class NoNodeReachable(DuckconfError):
    """Every node was tried and none could serve; `skipped` says why for each."""

    def __init__(self, skipped: dict[str, str]) -> None:
        reasons = "; ".join(f"{node}: {reason}" for node, reason in skipped.items())
        super().__init__(f"no node can start the app: {reasons}", "see `./inv nodes`")
        self.skipped = skipped


class NoNodeFits(NoNodeReachable):
    """As NoNodeReachable, and every node that was asked refused the app: `conflict` when only a port is in the way."""

    def __init__(self, skipped: dict[str, str], *, conflict: bool) -> None:
        super().__init__(skipped)
        self.conflict = conflict


class EngineRefused(DuckconfError):
    """The engine understood and said no, in its own words.

    `conflict` is true when something else holds what was asked for (a port, a name), so that the same request
    can succeed later.
    """

    def __init__(self, message: str, remedy: str = "", *, conflict: bool) -> None:
        super().__init__(message, remedy)
        self.conflict = conflict


class Conflict(DuckconfError):
    """What was asked for clashes with what is there; another name or another time may do."""


class PreconditionFailed(DuckconfError):
    """The thing has changed since the caller looked; nothing was done."""


class NotNow(DuckconfError):
    """The same request can succeed later: the state cannot be read or written just now."""


class CutOff(NotNow):
    """Nothing of it was done, because this server cannot reach what it keeps; another one may do it at once."""
