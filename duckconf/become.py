"""Becoming root on a host with sudo: the command line for it, and how sudo says no.

Pure. The password travels on stdin, never on a command line; with none, sudo must not ask for one.
"""

from __future__ import annotations

from dataclasses import replace

from duckconf.command import Command, Completed
from duckconf.errors import LoginRefused, NodeFailure
from duckconf.inventory import ROOT, Host

# Whatever sudo leaves unread of the password must not reach the program.
WITHOUT_INPUT = 'exec "$@" </dev/null'
# sudo's own words, in the language that the command line asks for.
REFUSED = "incorrect password attempt"
ASKED = "a password is required"
NOT_ALLOWED = ("is not in the sudoers file", "is not allowed to run sudo", "is not allowed to execute")


def as_root(command: Command, host: Host) -> Command:
    """`command`, which takes no input, run by root; unchanged where the login is root."""
    if host.user == ROOT:
        return command
    program = ("sh", "-c", WITHOUT_INPUT, "sh", *command.argv)
    if host.become_password is None:
        return replace(command, argv=("env", "LC_ALL=C", "sudo", "-n", "--", *program))
    argv = ("env", "LC_ALL=C", "sudo", "-S", "-p", "", "--", *program)
    return replace(command, argv=argv, stdin=f"{host.become_password}\n".encode())


def refusal(done: Completed, host: Host) -> NodeFailure | None:
    """Why sudo did not run the command; None when it did."""
    if host.user == ROOT or done.ok:
        return None
    name, said = host.name, done.stderr
    if REFUSED in said:
        return LoginRefused(name, f"sudo refuses the password of {host.user}", "see ansible_become_password in the inventory")
    if ASKED in said:
        remedy = "set ansible_become_password in the inventory, best in a vault"
        return LoginRefused(name, f"sudo asks {host.user} for a password, and the inventory has none", remedy)
    if any(words in said for words in NOT_ALLOWED):
        return LoginRefused(name, f"{host.user} may not use sudo", "allow it there, or log in as root")
    if done.code == 127 and said.startswith("env:") and "sudo" in said:
        return LoginRefused(name, f"has no sudo, which {host.user} needs", "install it there, or log in as root")
    return None
