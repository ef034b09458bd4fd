"""Becoming root on a host with sudo: the command line for it, and how sudo, sudo-rs and doas refuse.

Pure. The password travels on stdin, never on a command line; with none, sudo must not ask for one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from duckconf.command import Command, Completed
from duckconf.errors import LoginRefused, NodeFailure
from duckconf.host_words import quoted
from duckconf.inventory import ROOT, Host

# Whatever sudo leaves unread of the password must not reach the program.
WITHOUT_INPUT = 'exec "$@" </dev/null'
# The words of sudo, of sudo-rs (src/common/error.rs, src/pam/error.rs) and of doas under sudo's name, in lower case and
# in the language that the command line asks for.
REFUSED = ("incorrect password attempt", "incorrect authentication attempt", "doas: authentication failed")
ASKED = (
    "a password is required",
    "interactive authentication is required",
    "interaction is required",
    "authentication required but not attempted",
    "doas: authentication required",
    "doas: authorization required",
)
NO_TERMINAL = ("you must have a tty", "a terminal is required", "no tty present")
NOT_ALLOWED = (
    "is not in the sudoers file",
    "is not allowed to run sudo",
    "is not allowed to execute",
    "may not run sudo",
    "i'm afraid i can't do that",
    "doas: operation not permitted",
)
NOT_ALLOWED_RUST = re.compile(r"sorry, user \S+ may not run ")
EXPIRED = ("account or password is expired", "account validation failure", "password expired", "account has expired")
NOT_ROOTS = ("must be owned by uid 0 and have the setuid bit set", '"no new privileges" flag is set')
SPEAKERS = ("sudo: ", "sudo-rs: ", "doas: ")
# A warning, after which the command is run.
NO_NAME = "unable to resolve host"


def as_root(command: Command, host: Host) -> Command:
    """`command`, which takes no input, run by root; unchanged where the login is root."""
    if host.user == ROOT:
        return command
    program = ("sh", "-c", WITHOUT_INPUT, "sh", *command.argv)
    if host.become_password is None:
        return replace(command, request=None, argv=("env", "LC_ALL=C", *host.sudo, "-n", "--", *program))
    argv = ("env", "LC_ALL=C", *host.sudo, "-S", "-p", "", "--", *program)
    return replace(command, request=None, argv=argv, stdin=f"{host.become_password}\n".encode())


def refusal(done: Completed, host: Host) -> NodeFailure | None:
    """Why sudo did not run the command, with its words; None when it did."""
    if host.user == ROOT or done.ok:
        return None
    name, user, said = host.name, host.user, done.stderr.lower()

    def refused(reason: str, remedy: str) -> LoginRefused:
        return LoginRefused(name, f"{reason}; sudo says: {quoted(done.stderr)}", remedy)

    if _any(REFUSED, said):
        return refused(f"sudo refuses the password of {user}", "see ansible_become_password in the inventory")
    if _any(ASKED, said):
        remedy = "set ansible_become_password in the inventory, best in a vault"
        if host.become_password is not None:
            return refused(f"sudo does not accept the password of {user}", "see ansible_become_password in the inventory")
        return refused(f"sudo asks {user} for a password, and the inventory has none", remedy)
    if _any(NO_TERMINAL, said):
        return refused(f"sudo wants a terminal from {user}", "remove requiretty from its sudoers file")
    if _any(NOT_ALLOWED, said) or NOT_ALLOWED_RUST.search(said):
        return refused(f"{user} may not use sudo", "allow it in its sudoers file, or log in as root")
    if _any(EXPIRED, said):
        return refused(f"the account of {user} has expired", f"see `chage -l {user}` there")
    if _any(NOT_ROOTS, said):
        return refused(f"{user} cannot become root", "repair sudo there, or log in as root")
    if done.code == 127 and said.startswith("env:") and "sudo" in said:
        return LoginRefused(name, f"has no sudo, which {user} needs", "install it there, or log in as root")
    last = said.strip().rpartition("\n")[2]
    if done.code == 1 and not done.stdout and last.startswith(SPEAKERS) and NO_NAME not in last:
        return refused(f"{user} cannot become root", "see its sudoers file")
    return None


def _any(words: tuple[str, ...], said: str) -> bool:
    return any(word in said for word in words)
