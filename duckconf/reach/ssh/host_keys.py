"""The pinned host keys: one known_hosts file per cluster, read once and shared by all connections.

A key that is not pinned is refused. The operator's own ~/.ssh/known_hosts counts for hosts that ours does not name.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import paramiko

from duckconf.errors import BadInput, Fault, Unreachable
from duckconf.inventory import Host
from duckconf.known_hosts import SSH_PORT, Book, Expected, HostKey, entry_name, expected
from duckconf.reach.ssh.line import Line, local_path
from duckconf.reach.ssh.transport import hung_up
from duckconf.reach.state.files import write_durably

OWN_PINS = Path.home() / ".ssh" / "known_hosts"
# The signatures that prove a key of this type, where they have another name than the key.
SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
NOTHING = Expected()


class WrongHostKey(paramiko.SSHException):
    """The host showed a key that is not among the expected ones."""

    def __init__(self, key: paramiko.PKey, expected: Expected) -> None:
        super().__init__("unexpected host key")
        self.shown = HostKey(key.get_name(), key.asbytes())
        self.expected = expected


class OnlyExpected(paramiko.MissingHostKeyPolicy):
    """Instead of Fabric's default, which accepts whatever key is shown; Paramiko's own check knows one key per type."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if not is_expected(self._expected, key):
            raise WrongHostKey(key, self._expected)


def is_expected(expected: Expected, key: paramiko.PKey) -> bool:
    shown = HostKey(key.get_name(), key.asbytes())
    return shown in expected.keys and shown not in expected.revoked


def prefer(transport: paramiko.Transport, expected: Expected) -> None:
    """Ask for a key of an expected type first: a host may have several, and shows one."""
    wanted = {name for kind in expected.kinds for name in SIGNATURES.get(kind, (kind,))}
    options = transport.get_security_options()
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in wanted)


class KnownHosts:
    """The keys to expect, looked up by address and port; notices when a file is changed."""

    def __init__(self, path: Path, *more: Path) -> None:
        """The first of the files that names a host decides; what any of them revokes is revoked."""
        self.path = path
        self._files = (path, *more)
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int, int], Book]] = {}
        self._unread: dict[Path, str] = {}

    def of(self, host: Host) -> Expected:
        """What this host may show, as ssh's configuration has it."""
        files = None if host.way.known_hosts is None else [local_path(file) for file in host.way.known_hosts]
        return self.expected(host.address, host.port, alias=host.way.alias, files=files)

    def expected(self, address: str, port: int, *, alias: str = "", files: Sequence[Path] | None = None) -> Expected:
        """What may be shown there. `alias` is looked up instead of address and port (HostKeyAlias); `files` stand in for
        all but the first (UserKnownHostsFile, GlobalKnownHostsFile)."""
        with self._lock:
            books = [self._current(path) for path in (self._files if files is None else (self.path, *files))]
        found = expected(books, alias or entry_name(address, port))
        if found.keys or found.authorities or alias or port == SSH_PORT:
            return found
        # As OpenSSH: a key that is known for the host without its port will do.
        return expected(books, address)

    def faults(self) -> list[str]:
        """What cannot be read of the files, with its place; it is passed over."""
        with self._lock:
            books = {path: self._current(path) for path in self._files}
            unread = [f"{path}: {reason}" for path, reason in self._unread.items()]
        return unread + [f"{path}:{line}: {reason}" for path, book in books.items() for line, reason in book.faults]

    def _current(self, path: Path) -> Book:
        self._unread.pop(path, None)
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if path not in self._read or self._read[path][0] != stamp:
                self._read[path] = (stamp, Book(path.read_bytes()))
            return self._read[path][1]
        except FileNotFoundError:
            pass
        except OSError as error:
            self._unread[path] = f"cannot be read: {error.strerror}"
        return Book(b"")


def pin(path: Path, address: str, port: int, key: str, *, alias: str = "") -> None:
    """Expect `key` ("ssh-ed25519 AAAA…") from this host from now on, in place of any other."""
    name = alias or entry_name(address, port)
    kept = [line for line in _lines(path) if line.split(b" ", 1)[0] != name.encode()]
    # A checkout that has not brought its cluster up yet may accept a key too.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(path, b"".join(line + b"\n" for line in [*kept, f"{name} {key}".encode()]))


def forget(path: Path, host: Host) -> None:
    """Expect no key from this host any more."""
    name = host.way.alias or entry_name(host.address, host.port)
    lines = _lines(path)
    kept = [line for line in lines if line.split(b" ", 1)[0] != name.encode()]
    if kept != lines:
        write_durably(path, b"".join(line + b"\n" for line in kept))


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def accept(path: Path, host: Host, fingerprint: str, deadline: float) -> None:
    """Pin the key that the host shows now if its fingerprint is this one; raises NodeFailure or BadInput."""
    key = shown_key(host, deadline)
    if key.fingerprint != fingerprint:
        raise BadInput(Fault("fingerprint", f"{host.name} shows {key.fingerprint}, not {fingerprint}; nothing was pinned"))
    pin(path, host.address, host.port, f"{key.get_name()} {key.get_base64()}", alias=host.way.alias)


def shown_key(host: Host, deadline: float, expected: Expected = NOTHING) -> paramiko.PKey:
    """The host key that is shown now, pinned or not, of an expected type if there is one; raises NodeFailure."""
    with Line(host, deadline) as line:
        try:
            transport = paramiko.Transport(line.open())
            try:
                prefer(transport, expected)
                transport.start_client(timeout=deadline)
                return transport.get_remote_server_key()
            finally:
                transport.close()
        except (OSError, EOFError, paramiko.SSHException) as error:
            if failure := line.why():
                raise failure from error
            silent = isinstance(error, TimeoutError) or "No existing session" in str(error)
            reason = f"no answer within {deadline:g} s" if silent else _words(error)
            remedy = "is the address right, sshd running, the firewall open?"
            raise Unreachable(host.name, f"shows no host key at {host.where}: {reason}", remedy) from error


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return "it closes the connection at once; is that sshd?" if hung_up(error) else str(error)
