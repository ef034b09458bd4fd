"""What a host says when it refuses a login or runs another program than ours, and the setting that is likely behind it.

Pure. The host's own words are quoted: they name what no table of ours knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from duckconf.command import Command, Completed
from duckconf.errors import NodeFailure

LONGEST = 200
SECONDS = 10.0
FORCED = 'a forced command: see command="…" in its authorized_keys, ForceCommand in its sshd_config, or its login shell'
# sshd's and PAM's words, in lower case, and the setting behind them.
SETTINGS = (
    ("too many authentication failures", "MaxAuthTries in its sshd_config: name one key with ansible_ssh_private_key_file"),
    ("not allowed at this time", "PerSourcePenalties in its sshd_config: this address is blocked for a time"),
    ("maxstartups", "MaxStartups in its sshd_config"),
    ("account has expired", "an expired account: see `chage -l USER` there"),
    ("password has expired", "an expired password: see `chage -l USER` there"),
    ("change your password", "an expired password: see `chage -l USER` there"),
    ("currently not available", "a login shell that allows no login (nologin)"),
    ("account is locked", "a locked account: see `passwd -S USER` there"),
    ("system is booting up", "a host that is still starting (/run/nologin)"),
    ("system is going down", "a host that is going down (/run/nologin)"),
)
WHO_MAY = ("allowusers", "denyusers", "allowgroups", "denygroups")
# As root: what sshd makes of its configuration for this login, and whether there is such a login, with a shell and a key.
ASK = """\
echo "login $(getent passwd "$1")"
echo "groups $(id -Gn "$1" 2>/dev/null)"
echo "password $(passwd -S "$1" 2>/dev/null)"
home=$(getent passwd "$1" | cut -d: -f6)
test -s "$home/.ssh/authorized_keys" && echo key
PATH=$PATH:/usr/sbin:/sbin
sshd -T -C "user=$1,host=localhost,addr=127.0.0.1" 2>/dev/null | grep -iE '^(allow|deny)(users|groups) |^pubkeyauthentication '
exit 0"""
NO_SHELLS = ("nologin", "false")


def quoted(text: str) -> str:
    """On one line, short, in quotes, without what a terminal would act upon; "" for no words."""
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f'"{words[:LONGEST]}{"…" if len(words) > LONGEST else ""}"' if words else ""


def setting(words: str, user: str) -> str:
    """The setting that is likely behind what the host said; "" when the words name none."""
    said = words.lower()
    return next((found for mark, found in SETTINGS if mark in said), "").replace("USER", user)


def another_program(node: str, done: Completed) -> NodeFailure:
    """For an answer that the command we sent cannot have given."""
    words = quoted(done.stdout or done.stderr)
    said = f"it says: {words}" if words else f"it ended with code {done.code} and said nothing"
    likely = setting(done.stdout + done.stderr, "this login") or FORCED
    return NodeFailure(node, f"does not run the command that it is sent; {said}", f"likely {likely}")


def ask(user: str) -> Command:
    """To be run as root where the login `user` was refused."""
    return Command(("sh", "-c", ASK, "sh", user), deadline=SECONDS)


def likely(told: str, user: str) -> str:
    """From what `ask` printed: which setting refuses `user`, "" when none is seen to."""
    said: dict[str, list[str]] = {}
    for line in told.splitlines():
        word, _, rest = line.partition(" ")
        said.setdefault(word.lower(), []).extend(rest.split())
    login = " ".join(said.get("login", ()))
    if not login:
        return f"there is no login {user}"
    if login.rpartition("/")[2] in NO_SHELLS:
        return f"its shell is {login.rpartition(':')[2]}"
    groups = said.get("groups", [])
    for rule in WHO_MAY:
        names = said.get(rule)
        if not names:
            continue
        members = groups if rule.endswith("groups") else [user]
        if rule.startswith("allow") != _named(names, members):
            return f"{_SPELLED[rule]} {' '.join(names)} in its sshd_config leaves out {user}"
    if said.get("pubkeyauthentication") == ["no"]:
        return "PubkeyAuthentication no in its sshd_config"
    if "key" not in said:
        return f"{user} has no authorized_keys there"
    return ""


_SPELLED = {"allowusers": "AllowUsers", "denyusers": "DenyUsers", "allowgroups": "AllowGroups", "denygroups": "DenyGroups"}


def _named(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """As sshd matches: * and ? are wild, and what follows an @ is where the login comes from."""
    wild = [re.escape(pattern.partition("@")[0]).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns]
    return any(re.fullmatch(pattern, name) for pattern in wild for name in names)
