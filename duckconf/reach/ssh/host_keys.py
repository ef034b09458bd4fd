"""The pinned host keys: one known_hosts file per cluster, read once and shared by all connections.

A key that is not pinned is refused. The operator's own ~/.ssh/known_hosts counts for hosts that ours does not name.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import paramiko

from duckconf.errors import BadInput, Fault, Unreachable
from duckconf.reach.ssh.transport import hung_up
from duckconf.reach.state.files import write_durably

SSH_PORT = 22
OWN_PINS = Path.home() / ".ssh" / "known_hosts"


def entry_name(address: str, port: int) -> str:
    """The name of a host in known_hosts, as OpenSSH writes it."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


class UnknownHostKey(paramiko.SSHException):
    """The host showed a key and none is pinned for it."""

    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("unknown host key")
        self.key = key


class RefuseUnknown(paramiko.MissingHostKeyPolicy):
    """Instead of Fabric's default, which accepts whatever key is shown."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise UnknownHostKey(key)


class KnownHosts:
    """The keys to expect, looked up by address and port; notices when the file is changed."""

    def __init__(self, path: Path, fallback: Path | None = None) -> None:
        self.path = path
        self._files = [path] if fallback is None else [path, fallback]
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[int, paramiko.HostKeys]] = {}

    def keys_for(self, address: str, port: int) -> Mapping[str, paramiko.PKey]:
        """Key by key type, empty when nothing is pinned."""
        name = entry_name(address, port)
        with self._lock:
            for path in self._files:
                found = self._current(path).lookup(name)
                if found:
                    return dict(found.items())
        return {}

    def _current(self, path: Path) -> paramiko.HostKeys:
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return paramiko.HostKeys()
        if path not in self._read or self._read[path][0] != stamp:
            self._read[path] = (stamp, paramiko.HostKeys(str(path)))
        return self._read[path][1]


def pin(path: Path, address: str, port: int, key: str) -> None:
    """Expect `key` ("ssh-ed25519 AAAA…") from this host from now on, in place of any other."""
    name = entry_name(address, port)
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.split(" ", 1)[0] != name]
    write_durably(path, "".join(f"{line}\n" for line in [*kept, f"{name} {key}"]).encode())


def forget(path: Path, address: str, port: int) -> None:
    """Expect no key from this host any more."""
    name = entry_name(address, port)
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.split(" ", 1)[0] != name]
    if kept != lines:
        write_durably(path, "".join(f"{line}\n" for line in kept).encode())


def accept(path: Path, node: str, address: str, port: int, fingerprint: str, deadline: float) -> None:
    """Pin the key that the host shows now if its fingerprint is this one; raises NodeFailure or BadInput."""
    key = shown_key(node, address, port, deadline)
    if key.fingerprint != fingerprint:
        raise BadInput(Fault("fingerprint", f"{node} shows {key.fingerprint}, not {fingerprint}; nothing was pinned"))
    pin(path, address, port, f"{key.get_name()} {key.get_base64()}")


def shown_key(node: str, address: str, port: int, deadline: float) -> paramiko.PKey:
    """The host key that is shown now, pinned or not; raises Unreachable."""
    try:
        with socket.create_connection((address, port), timeout=deadline) as raw, paramiko.Transport(raw) as transport:
            transport.start_client(timeout=deadline)
            return transport.get_remote_server_key()
    except (OSError, EOFError, paramiko.SSHException) as error:
        silent = isinstance(error, TimeoutError) or "No existing session" in str(error)
        reason = f"no answer within {deadline:g} s" if silent else _words(error)
        raise Unreachable(node, f"shows no host key at {address}:{port}: {reason}") from error


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return "it hangs up at once; is that sshd?" if hung_up(error) else str(error)
