"""The nodes of one inventory over SSH: one `Runner` per node, made by Fabric from the inventory's own variables.

Where the inventory wants it, Duckconf's own commands log in as `duckconf`, and only what needs root as the administrator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fabric
import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from duckconf import host_words
from duckconf.errors import HostKeyRefused, LoginRefused, NodeFailure, Unreachable
from duckconf.host_words import quoted
from duckconf.inventory import OWN_LOGIN, ROOT, Host
from duckconf.reach.ssh.host_keys import KnownHosts, OnlyExpected, WrongHostKey, prefer
from duckconf.reach.ssh.jump_host import JumpHost
from duckconf.reach.ssh.line import Line, local_path
from duckconf.reach.ssh.root import RootRunner
from duckconf.reach.ssh.runner import SshRunner
from duckconf.reach.ssh.transport import PromptTransport, Watchdog, hung_up
from duckconf.route import DIRECT, Way

# What Paramiko says when a deadline passed: after accept, banner, key exchange or login.
SILENCE = ("timed out", "timeout", "No existing session", "Error reading SSH protocol banner")

# Makes a connection with the given maker of transports, and with arguments of Paramiko's `connect`.
Make = Callable[..., fabric.Connection]
# A key that is none from its file alone.
NO_KEY_FROM_FILE = (
    OSError, TypeError, ValueError, UnsupportedAlgorithm, paramiko.SSHException, paramiko.pkey.UnknownKeyType,
)  # fmt: skip
# Hundreds of key exchanges at once would share this process's one lock so thinly that none ends within its deadline.
LOGINS_AT_ONCE = 32


class Fleet:
    """Runners by node name. Connections are opened on first use; `close` ends them all."""

    def __init__(
        self, hosts: Iterable[Host], known_hosts: KnownHosts, default_key: Path, deadline: float, *,
        keeps_trying: bool = False, refusals: Path | None = None,
    ) -> None:  # fmt: skip
        """`default_key` logs in as `duckconf`, and into demo hosts that name neither key nor password; `deadline` is in
        seconds. `refusals` is a folder with one file per node that refuses the login of a process that keeps trying: who
        gets in removes it, and that process tries again at once."""
        self._known_hosts = known_hosts
        self._default_key = default_key
        self._deadline = deadline
        self._keeps_trying = keeps_trying
        self._refusals = refusals
        self._logins = threading.BoundedSemaphore(LOGINS_AT_ONCE)
        self._jumps: dict[str, JumpHost] = {}
        self._key_cache: dict[str, tuple[int, paramiko.PKey]] = {}
        # Shared and used by one thread at a time: making a Connection writes into its Config.
        self._making = threading.Lock()
        self._admitting = threading.Lock()
        # ssh's configuration has been asked already, by OpenSSH itself.
        self._config = fabric.Config(ssh_config=paramiko.SSHConfig())
        self._hosts: dict[str, Host] = {}
        self._runners: dict[str, SshRunner] = {}
        self._admins: dict[str, SshRunner] = {}
        self.update(hosts)

    def update(self, hosts: Iterable[Host]) -> None:
        """Take over a changed inventory: new and changed hosts get new connections, the others keep theirs."""
        wanted = {host.name: host for host in hosts}
        for name in [name for name, host in self._hosts.items() if wanted.get(name) != host]:
            self._runners.pop(name).close()
            if admin := self._admins.pop(name, None):
                admin.close()
            del self._hosts[name]
        for name, host in wanted.items():
            if name not in self._hosts:
                self._hosts[name] = host
                connector = self._connector(host.daily())
                self._runners[name] = SshRunner(
                    name, connector, self._deadline, keeps_trying=self._keeps_trying, refused=self._refusal_of(name)
                )

    def runner(self, node: str) -> SshRunner:
        """As Duckconf's own commands reach the node: they use its engine and read what everybody may read."""
        return self._runners[node]

    def admin(self, node: str) -> RootRunner:
        """Runs commands as root, with sudo where the administrator's login is not root."""
        host = self._hosts[node]
        if not host.own_login:
            return RootRunner(host, self._runners[node])
        with self._admitting:
            if node not in self._admins:
                self._admins[node] = SshRunner(node, self._connector(host.administered()), self._deadline)
            return RootRunner(host, self._admins[node])

    def _refusal_of(self, node: str) -> Path | None:
        return None if self._refusals is None else self._refusals / node

    def close(self) -> None:
        for runner in (*self._runners.values(), *self._admins.values()):
            runner.close()

    def _connector(self, host: Host) -> Callable[[], fabric.Connection]:
        def connect() -> fabric.Connection:
            jump = self._jumps.setdefault(host.way.try_jump or host.way.jump, JumpHost())
            with jump.through(host.name) if host.way.proxy else nullcontext(), self._logins:
                return open_connection(host, self._make(host), self._deadline)

        return connect

    def _make(self, host: Host) -> Make:
        def make(factory: Callable[..., paramiko.Transport], **kwargs: Any) -> fabric.Connection:
            expected = self._known_hosts.of(host)

            def preferring(sock: Any, **kwargs: Any) -> paramiko.Transport:
                transport = factory(sock, **kwargs)
                prefer(transport, expected)
                return transport

            with self._making:
                connection = fabric.Connection(
                    host.address,
                    user=host.user,
                    port=host.port,
                    config=self._config,
                    connect_timeout=self._deadline,
                    connect_kwargs={**self._login(host), **kwargs, "transport_factory": preferring},
                )
            connection.client.set_missing_host_key_policy(OnlyExpected(expected))
            return connection

        return make

    def _login(self, host: Host) -> dict[str, Any]:
        bounds: dict[str, Any] = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), self._deadline)
        if host.password is not None:
            return {**bounds, "password": str(host.password), "allow_agent": False, "look_for_keys": False}
        ours = host.demo or host.own_login
        key_file = host.key_file or (str(self._default_key) if ours else None)
        way = DIRECT if ours else host.way
        if key_file is not None:
            path = Path(key_file).expanduser()
            first = self._key(host, str(path))
            return {**bounds, "allow_agent": False, "look_for_keys": False, **self._more_keys(way, first, path)}
        if way.key_files is None:
            return bounds
        login = {"allow_agent": way.agent, **self._more_keys(way, {}, None)}
        if way.other_agent and "pkey" not in login:
            reason = f"ssh's configuration has IdentityAgent {way.other_agent}, which Duckconf does not use"
            raise LoginRefused(host.name, reason, f"start this with SSH_AUTH_SOCK={way.other_agent}, or name a key file")
        return {**bounds, "look_for_keys": False, **login}

    def _more_keys(self, way: Way, first: dict[str, Any], known: Path | None) -> dict[str, Any]:
        """`first`, which is the key `known`, with the keys that ssh's configuration names (IdentityFile), where they exist."""
        login = dict(first)
        for path in map(local_path, way.key_files or ()):
            if path == known or not path.is_file():
                continue
            try:
                key = self._read(str(path))
            except NO_KEY_FROM_FILE:
                # With a passphrase, in a security key, or the public half alone: the agent may have it.
                login["allow_agent"] = not way.other_agent
                continue
            if "pkey" in login:
                login["key_filename"] = [*login.get("key_filename", ()), str(path)]
            else:
                login["pkey"] = key
        return login

    def _read(self, path: str) -> paramiko.PKey:
        """Once for all hosts, and again when the file is another one: a key may be changed under a loop that runs. While it is
        away, what was read counts."""
        known = self._key_cache.get(path)
        try:
            written = Path(path).expanduser().stat().st_mtime_ns
            if known is None or known[0] != written:
                self._key_cache[path] = known = written, paramiko.PKey.from_path(path)
        except OSError:
            if known is None:
                raise
        return known[1]

    def _key(self, host: Host, path: str) -> dict[str, Any]:
        """One that needs a passphrase is left to Paramiko and the agent."""
        try:
            return {"pkey": self._read(path)}
        except FileNotFoundError:
            remedy = "see ansible_ssh_private_key_file in the inventory"
            if host.demo or host.own_login:
                remedy = "`./inv up push` makes it" if host.demo else "`./inv provision` makes it"
            raise LoginRefused(host.name, f"the login key {path} does not exist", remedy) from None
        except OSError as error:
            remedy = "see ansible_ssh_private_key_file in the inventory"
            raise LoginRefused(host.name, f"the login key {path} cannot be read: {error.strerror}", remedy) from None
        except (paramiko.pkey.UnknownKeyType, UnsupportedAlgorithm):
            # Such as ed25519-sk, whose secret is in a security key: the agent can use it, Paramiko cannot.
            remedy = f"add it to ssh-agent (ssh-add {path}), or name another key for this host"
            reason = f"the login key {path} is of a type that cannot be used from a file, such as ed25519-sk"
            if not paramiko.Agent().get_keys():
                raise LoginRefused(host.name, reason, remedy) from None
            return {"allow_agent": True}
        except (paramiko.PasswordRequiredException, TypeError, ValueError, paramiko.SSHException):
            return {"key_filename": [path], "allow_agent": True}


def open_connection(host: Host, make: Make, deadline: float) -> fabric.Connection:
    """Connect, check the host key and log in, all within `deadline`; raises the NodeFailure that says what failed."""
    transports: list[PromptTransport] = []
    connection: fabric.Connection | None = None
    line = Line(host, deadline)

    def factory(sock: Any, **kwargs: Any) -> paramiko.Transport:
        if dog.barked:
            raise TimeoutError
        transports.append(PromptTransport(sock, **kwargs))
        return transports[-1]

    def end() -> None:
        for transport in transports:
            transport.close()
        line.close()

    with Watchdog(deadline, end) as dog:
        try:
            # Paramiko connects by itself where nothing else is wanted.
            connection = make(factory) if line.plain else make(factory, sock=line.open())
            connection.open()
            return connection
        except Exception as error:
            # Neither Fabric nor Paramiko ends a connection that could not log in, and sshd serves only so many of those.
            through = None if isinstance(error, (WrongHostKey, paramiko.AuthenticationException)) else line.why()
            end()
            if connection is not None:
                connection.close()
            if isinstance(error, NodeFailure):
                raise
            if through is not None:
                raise through from error
            greeted = any(transport.initial_kex_done for transport in transports)
            words = " ".join(transport.words() for transport in transports)
            raise _why(host, error, words, frozen=dog.barked, greeted=greeted, deadline=deadline) from error


def _why(host: Host, error: Exception, words: str, *, frozen: bool, greeted: bool, deadline: float) -> NodeFailure:
    """`words` are the host's own, `frozen` when the deadline ended it, `greeted` when the host had proved its key by then."""
    name = host.name
    said = f"; it says: {quoted(words)}" if words.strip() else ""
    setting = host_words.setting(words, host.user)
    what = "password" if host.password is not None else "key"
    if isinstance(error, WrongHostKey):
        return refused_key(host, error)
    if isinstance(error, paramiko.AuthenticationException) and not frozen:
        return LoginRefused(name, f"refuses the {what} of {host.user}{_takes(error)}{said}", _login_remedy(host, setting))
    if isinstance(error, ConnectionRefusedError) or "Unable to connect" in str(error):
        remedy = "a demo host is started by `./inv up push`" if host.demo else "is sshd running there?"
        return Unreachable(name, f"nothing listens on {host.where}", remedy)
    if "No authentication methods available" in str(error):
        remedy = "name a key with ansible_ssh_private_key_file or IdentityFile, or add it to ssh-agent"
        return LoginRefused(name, f"there is no key and no password to log in with as {host.user}", remedy)
    if frozen and greeted:
        # sshd lets a wrong password wait, two seconds and more.
        remedy = f"a wrong {what} is refused slowly: see ansible_user, key and password in the inventory"
        return Unreachable(name, f"did not accept the {what} of {host.user} within {deadline:g} s", remedy)
    if said and not frozen and not greeted:
        return Unreachable(name, f"{host.where} accepts no login{said}", setting or "is that sshd?")
    if said and not frozen and hung_up(error):
        return LoginRefused(name, f"ends the login of {host.user}{said}", _login_remedy(host, setting))
    if hung_up(error) and not frozen:
        remedy = "is that sshd, and is it at its limit of new connections (MaxStartups)?"
        return Unreachable(name, f"{host.where} closes the connection before the login", remedy)
    if frozen or isinstance(error, TimeoutError) or any(word in str(error) for word in SILENCE):
        through = f" through {host.way.jump}" if host.way.jump else ""
        return Unreachable(name, f"no answer from {host.where}{through} within {deadline:g} s")
    return Unreachable(name, f"cannot connect to {host.where}: {error or type(error).__name__}")


def refused_key(host: Host, error: WrongHostKey) -> HostKeyRefused:
    name, shown, expected = host.name, error.shown.fingerprint, error.expected
    if error.shown in expected.revoked:
        return HostKeyRefused(name, f"shows the host key {shown}, which known_hosts revokes", "make the host a new key")
    if expected.keys:
        pinned = " or ".join(key.fingerprint for key in expected.keys)
        reason = f"its host key has changed: {shown} at {host.where}, pinned is {pinned}"
        return HostKeyRefused(name, reason, f"if you replaced the machine: ./inv accept-key {name} {shown}")
    reason = f"shows the host key {shown}, and none is pinned for {host.where}"
    if expected.authorities:
        reason += " but a @cert-authority, whose certificates are not checked"
    return HostKeyRefused(name, reason, f"if that is the right machine: ./inv accept-key {name} {shown}")


def _takes(error: paramiko.AuthenticationException) -> str:
    """What else it would take, where it tells."""
    types = getattr(error, "allowed_types", None)
    return f" and takes only {', '.join(types)}" if types else ""


def _login_remedy(host: Host, setting: str) -> str:
    if setting:
        return f"likely {setting}"
    if host.demo:
        return "a new key of the cluster reaches a demo host with `./inv up MODE`"
    if host.user == OWN_LOGIN:
        taken = f"likely another checkout has taken the node over, and `./inv provision --limit {host.name}` takes it back"
        return f"{taken}; or AllowUsers, AllowGroups or DenyUsers in its sshd_config, where `./inv doctor {host.name}` looks"
    rule = "PermitRootLogin or AllowUsers" if host.user == ROOT else "AllowUsers, AllowGroups or DenyUsers"
    return f"see ansible_user, key and password in the inventory; there: ~/.ssh/authorized_keys, {rule} in sshd_config"
