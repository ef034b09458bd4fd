"""One node over SSH: a `Runner` on one persistent connection, opened when first needed and reopened when broken.

Fabric makes and authenticates the connection; commands run on bare channels of its transport, which costs a third
of `Connection.run`. Every wait has a deadline that ends it, because a frozen peer answers nothing and closes nothing.
"""

from __future__ import annotations

import functools
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import fabric
import paramiko

from duckconf import backoff
from duckconf.command import Command, Completed
from duckconf.errors import BadInput, Fault, HostKeyRefused, LoginRefused, NodeFailure, Unreachable
from duckconf.frame import Frame
from duckconf.inside import Terminal
from duckconf.reach.ssh.dialogue import PULSE, Attended, SshDialogue
from duckconf.reach.ssh.engine_line import EngineLine
from duckconf.reach.ssh.talk import Talk
from duckconf.reach.ssh.transport import PACKET, STALLED, OutflowGuard, Watchdog, bytes_under_way

# Commands at once. sshd serves 10 sessions per connection unless told otherwise: one is for the command that is
# followed, three for the engine's lines, one for the watcher of health, and one is spare, because one that was cut off counts
# until its program ends.
SESSIONS = 4
# Linux takes 128 KiB for one argument, and sshd hands the whole line to the login shell as one.
LONGEST_LINE = 120_000
DEFAULT_DEADLINE = 30.0
RETRY_EVERY = 1.0
# A host that shows another key costs nothing to ask; one that refuses our login counts how often, and may shut us out
# (fail2ban: five times in ten minutes). The pauses double from a minute to five.
REFUSED_KEY_RETRY = 5.0
REFUSED_LOGIN_RETRY = 60.0
CHUNK = 65536


Value = TypeVar("Value")


class SshRunner:
    """A `Runner` for one node. With `keeps_trying`, a node that failed is answered for at once while a thread
    goes on knocking, so that requests never wait for a node known to be away."""

    def __init__(
        self, node: str, connect: Callable[[], fabric.Connection], deadline: float, *,
        keeps_trying: bool = False, refused: Path | None = None,
    ) -> None:  # fmt: skip
        """`connect` opens an authenticated connection or raises NodeFailure; `deadline` is in seconds. `refused` is a file
        that says that the login is refused: who gets in removes it, and who waits for that tries again."""
        self._node = node
        self._connect = connect
        self._deadline = deadline
        self._keeps_trying = keeps_trying
        self._refused = refused
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(SESSIONS)
        self._pulse = threading.Lock()
        self._closed = threading.Event()
        self._connection: fabric.Connection | None = None
        self._away: NodeFailure | None = None
        self.opened = 0
        """How many connections were opened: behind another one there may be another machine."""
        self._frame = Frame(secrets.token_hex(8))
        self.engine_line = EngineLine(node, self._dial)

    @property
    def away(self) -> NodeFailure | None:
        """Why the node cannot be reached now, as far as is known without asking."""
        return self._away

    def run(self, command: Command) -> Completed:
        line = self._frame.line(command)
        if len(line.encode()) > LONGEST_LINE:
            raise BadInput(Fault("", f"the command is longer than a shell takes ({LONGEST_LINE} bytes with its quotes)"))
        deadline = command.deadline or DEFAULT_DEADLINE
        if command.request is not None and (done := self.engine_line.perform(command.request, deadline)) is not None:
            return done
        with self._slot(deadline):
            transport, channel = self._start(line)
            with _closing(channel):
                check = functools.partial(self._check_pulse, transport, time.monotonic() + deadline)
                return self._finish(transport, channel, _pieces(command.stdin), check)

    def pour(self, command: Command, pieces: Iterable[bytes]) -> Completed:
        """Run with `pieces` as its input, however long the link takes. Raises NodeFailure as `run` does, and when the
        node has taken nothing for a while."""
        with self._slot(DEFAULT_DEADLINE):
            transport, channel = self._start(self._frame.line(command))
            check = functools.partial(self._check_flow, transport)
            with _closing(channel), OutflowGuard(transport, STALLED) as guard:
                try:
                    return self._finish(transport, channel, guard.counting(pieces), check)
                except NodeFailure:
                    if guard.barked:
                        raise self._lost(f"accepted no data for {STALLED:g} s", may_have_run=True) from None
                    raise

    def follow(self, command: Command, on_data: Callable[[bytes], None]) -> None:
        """Hand over what the command prints, piece by piece as it comes, until it ends or the connection breaks.

        A node that freezes is not noticed here, but by the next command, which then ends this too. Raises NodeFailure.
        """
        _, channel = self._start(self._frame.line(command))
        opening = self._frame.opening()
        with _closing(channel):
            # A password at most, for which there is always room.
            channel.sendall(command.stdin)
            channel.shutdown_write()
            while data := channel.recv(CHUNK):
                if answer := opening.after(data):
                    on_data(answer)
            if opening.held:
                # Another program's words are for the person who looks, too.
                on_data(opening.held)

    def talk(self, command: Command) -> Talk:
        """Start a command that is spoken to and may be silent for long. Raises NodeFailure."""
        _, channel = self._start(self._frame.line(command))
        return Talk(channel, self._frame.opening())

    def attend(self, command: Command, terminal: Terminal | None = None) -> Attended:
        """Begin a command that ends with its connection, with a terminal of its own where one is given; raises NodeFailure. It is
        for the caller to close."""
        transport, channel = self._start(self._frame.line(command), terminal)
        check = functools.partial(self._check_flow, transport)
        return Attended(self._node, transport, channel, self._frame.opening(terminal=terminal is not None), check)

    def open(self) -> None:
        """Connect now instead of with the first command; raises NodeFailure."""
        self._transport()

    def close(self) -> None:
        self._closed.set()
        if self._connection is not None:
            self._connection.close()

    def _dial(self, command: Command) -> SshDialogue:
        if self._closed.is_set():
            raise Unreachable(self._node, "is no longer asked: its connection was closed")
        transport, channel = self._start(self._frame.line(command))

        def patiently(end: float, step: Callable[[], Value]) -> Value:
            return _patiently(functools.partial(self._check_pulse, transport, end), step)

        return SshDialogue(transport, channel, patiently, self._frame.opening())

    @contextmanager
    def _slot(self, deadline: float) -> Iterator[None]:
        if not self._slots.acquire(timeout=deadline):
            raise Unreachable(self._node, f"{SESSIONS} commands were still running after {deadline:g} s")
        try:
            yield
        finally:
            self._slots.release()

    def _start(self, line: str, terminal: Terminal | None = None) -> tuple[paramiko.Transport, paramiko.Channel]:
        """The running command. A connection that turns out to be dead is replaced once: nothing was handed over."""
        for last_try in (False, True):
            transport = self._transport()
            handed_over = False
            with Watchdog(self._deadline, transport.close) as dog:
                try:
                    channel = transport.open_session(timeout=self._deadline + 1)
                    if terminal is not None:
                        channel.get_pty(terminal.kind, terminal.columns, terminal.rows)
                    handed_over = True
                    channel.exec_command(line)
                    return transport, channel
                except (paramiko.SSHException, EOFError, OSError) as error:
                    failure = error
            if isinstance(failure, paramiko.ChannelException):
                # No session left: a server that serves fewer than usual. Commands need them more.
                self.engine_line.give_up()
            if dog.barked:
                raise self._lost(f"no answer within {self._deadline:g} s", may_have_run=handed_over)
            transport.close()
            if handed_over or last_try:
                raise self._lost(f"the connection broke: {failure or 'closed by the node'}", may_have_run=handed_over)
        raise AssertionError("unreachable")  # pragma: no cover

    def _finish(
        self, transport: paramiko.Transport, channel: paramiko.Channel, pieces: Iterable[bytes], check: Callable[[], None]
    ) -> Completed:
        """`check` is called whenever nothing has happened for a while; it raises when waiting is of no use."""
        channel.settimeout(PULSE)
        output: tuple[list[bytes], list[bytes]] = ([], [])
        try:
            self._send(channel, pieces, check)
            for read, into in ((channel.recv, output[0]), (channel.recv_stderr, output[1])):
                while data := _patiently(check, functools.partial(read, CHUNK)):
                    into.append(data)
                    while read == channel.recv and channel.recv_stderr_ready():
                        output[1].append(channel.recv_stderr(CHUNK))
            while not channel.status_event.wait(PULSE):
                check()
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(f"the connection broke: {error}", may_have_run=True) from error
        code = channel.recv_exit_status()
        if code < 0 and not transport.is_active():
            raise self._lost("the connection broke before the command ended", may_have_run=True)
        answer, ours = self._frame.answer(b"".join(output[0]))
        stdout, stderr = (part.decode("utf-8", errors="replace") for part in (answer, b"".join(output[1])))
        return Completed(code if code >= 0 else 128, stdout, stderr, ours)

    def _send(self, channel: paramiko.Channel, pieces: Iterable[bytes], check: Callable[[], None]) -> None:
        try:
            for piece in pieces:
                for begin in range(0, len(piece), PACKET):
                    rest = piece[begin : begin + PACKET]
                    while rest:
                        rest = rest[_patiently(check, functools.partial(channel.send, rest)) :]
        except OSError:
            # A program may end without reading its input; its exit code says how it went.
            if not channel.closed and not channel.exit_status_ready():
                raise
        channel.shutdown_write()

    def _check_flow(self, transport: paramiko.Transport) -> None:
        """As `_check_pulse`, without an end: a slow link that is still busy with what we sent cannot bring an answer."""
        if not bytes_under_way(transport):
            self._check_pulse(transport, math.inf)

    def _check_pulse(self, transport: paramiko.Transport, end: float) -> None:
        """Returns when the node is alive and there is time left. A slow command is waited for; a frozen node is not."""
        if time.monotonic() > end:
            raise self._lost("the command did not end within its deadline", may_have_run=True, drop=False)
        with self._pulse, Watchdog(self._deadline, transport.close) as dog:
            transport.global_request("keepalive@openssh.com", wait=True)
        if dog.barked or not transport.is_active():
            raise self._lost(f"stopped answering for {self._deadline:g} s", may_have_run=True)

    def _transport(self) -> paramiko.Transport:
        if self._away is not None and self._keeps_trying:
            raise self._again(self._away)
        with self._opening:
            if self._away is not None and self._keeps_trying:
                raise self._again(self._away)
            try:
                return self._open()
            except NodeFailure as failure:
                self._note_away(failure)
                raise

    def _open(self) -> paramiko.Transport:
        """The live connection's transport, connecting first when there is none. Called under `_opening`."""
        if self._connection is None or not self._connection.is_connected:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._connection = self._connect()
            self.opened += 1
            if self._refused is not None:
                self._refused.unlink(missing_ok=True)
        transport: paramiko.Transport = self._connection.transport
        return transport

    def _lost(self, reason: str, *, may_have_run: bool, drop: bool = True) -> Unreachable:
        failure = Unreachable(self._node, reason, may_have_run=may_have_run)
        if drop:
            self._note_away(failure)
        return failure

    def _note_away(self, failure: NodeFailure) -> None:
        if not self._keeps_trying or self._away is not None or self._closed.is_set():
            return
        self._away = failure
        threading.Thread(target=self._knock, name=f"knock-{self._node}", daemon=True).start()

    def _knock(self) -> None:
        refusals = 0
        while not self._closed.is_set():
            refusals = refusals + 1 if isinstance(self._away, LoginRefused) else 0
            self._rest(refusals)
            if self._closed.is_set():
                return
            with self._opening:
                try:
                    self._open()
                    self._away = None
                    return
                except NodeFailure as failure:
                    self._away = failure

    def _rest(self, refusals: int) -> None:
        """Wait before the next try. After a refused login, until the pause is over or somebody else got in."""
        if not refusals:
            self._closed.wait(REFUSED_KEY_RETRY if isinstance(self._away, HostKeyRefused) else RETRY_EVERY)
            return
        end = time.monotonic() + backoff.delay(refusals, first=REFUSED_LOGIN_RETRY)
        if self._refused is not None:
            self._refused.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refused.touch()
        while time.monotonic() < end and not self._closed.wait(min(RETRY_EVERY, max(0.0, end - time.monotonic()))):
            if self._refused is not None and not self._refused.exists():
                return

    @staticmethod
    def _again(failure: NodeFailure) -> NodeFailure:
        """A fresh exception for each caller: one instance raised in many threads would pile up tracebacks."""
        return type(failure)(failure.node, failure.reason, failure.remedy)


@contextmanager
def _closing(channel: paramiko.Channel) -> Iterator[None]:
    """A connection that broke cannot even take the news that the channel is closed; what broke it is told elsewhere."""
    try:
        yield
    finally:
        with suppress(EOFError, OSError, paramiko.SSHException):
            channel.close()


def _patiently(check: Callable[[], None], step: Callable[[], Value]) -> Value:
    """The step, again after each time that it took too long; `check` raises when that has no use any more."""
    while True:
        try:
            return step()
        except TimeoutError:
            check()


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[begin : begin + PACKET] for begin in range(0, len(data), PACKET))
