"""OpenSSH's configuration as text: what to ask `ssh -G`, how to read its answer, and whether a file says anything at all.

Pure. What a configuration means for a host is decided by OpenSSH alone; here its files are only looked at for whether it
has to be asked. `reach/inventory/ssh_config.py` asks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

SSH = "ssh"
NO_FILE = "none"
# The keywords of the answer that change how a host is reached; the others are OpenSSH's own business.
KEYWORDS = (
    "hostname", "port", "user", "addressfamily", "bindaddress", "bindinterface", "hostkeyalias", "identityfile", "identitiesonly",
    "identityagent", "certificatefile", "pkcs11provider", "revokedhostkeys", "userknownhostsfile", "globalknownhostsfile",
    "proxyjump", "proxycommand", "proxyusefdpass",
)  # fmt: skip
ERROR = "error"
Answer = Mapping[str, Sequence[str]]
# What the files of distributions hold, and what has no part in how a host is reached.
WITHOUT_EFFECT = {
    "include", "host", "sendenv", "setenv", "hashknownhosts", "gssapiauthentication", "gssapidelegatecredentials",
    "visualhostkey",
    "serveraliveinterval", "serveralivecountmax", "tcpkeepalive", "controlmaster", "controlpath", "controlpersist", "compression",
    "forwardagent", "forwardx11", "forwardx11trusted", "loglevel", "addkeystoagent", "usekeychain", "ignoreunknown", "ipqos",
    "stricthostkeychecking", "checkhostip", "updatehostkeys", "batchmode", "connecttimeout", "escapechar",
}  # fmt: skip
STATEMENT = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$")
# Who is asked for when nothing says who logs in, to see whether the configuration does.
NOBODY = "duckconf-nobody-said"


@dataclass(frozen=True)
class Question:
    """A host as the roles hand it to ssh: `words` are its arguments in their order, `user` is "" when nothing says one."""

    host: str
    words: tuple[str, ...] = ()
    user: str = ""
    ssh: str = SSH
    added: tuple[str, ...] = ()
    """Those of `words` that the inventory and ansible.cfg give as arguments."""

    @property
    def file(self) -> str:
        """The file that stands in for all others (`-F`); "" for none."""
        found = ""
        for at, word in enumerate(self.words):
            if word == "-F" and at + 1 < len(self.words):
                found = self.words[at + 1]
            elif word.startswith("-F"):
                found = word[2:] or found
        return found

    @property
    def port(self) -> str:
        """The one that the inventory says, which comes before the configuration's; "" for none."""
        return next((word.partition("=")[2] for word in self.words if word.startswith("Port=")), "")

    @property
    def beyond_a_file(self) -> list[str]:
        """What the inventory adds to the command line besides `-F FILE`."""
        found, words = [], iter(self.added)
        for word in words:
            if word == "-F":
                next(words, "")
            elif not word.startswith("-F"):
                found.append(word)
        return found

    @property
    def argv(self) -> tuple[str, ...]:
        return (self.ssh, "-G", "-T", *_option("User", self.user), *self.words, "--", self.host)

    def said_by(self, user: str) -> Question:
        return replace(self, user=user)

    def with_file(self, path: str) -> Question:
        """The same with one more `-F`, of which the last one counts."""
        return replace(self, words=(*self.words, "-F", path))


def question(name: str, variables: Mapping[str, Any]) -> Question:
    """From what Ansible resolved; raises ValueError with the name of a variable whose quotes do not close."""
    first, common, extra = (_split(variables, f"ansible_ssh_{kind}") for kind in ("args", "common_args", "extra_args"))
    port, key = (str(variables.get(which) or "") for which in ("ansible_port", "ansible_ssh_private_key_file"))
    added = (*first, *common, *extra)
    words = (*_option("Port", port), *_option("IdentityFile", f'"{key}"' if key else ""), *added)
    user, ssh = str(variables.get("ansible_user") or ""), str(variables.get("ansible_ssh_executable") or SSH)
    return Question(str(variables.get("ansible_host") or name), words, user, ssh, added)


def _option(name: str, value: str) -> tuple[str, ...]:
    return ("-o", f"{name}={value}") if value else ()


def _split(variables: Mapping[str, Any], name: str) -> list[str]:
    text = str(variables.get(name) or "")
    try:
        return shlex.split(text) if text else []
    except ValueError:
        raise ValueError(name) from None


def read_answer(text: str) -> dict[str, list[str]]:
    """What `ssh -G` printed, of KEYWORDS alone."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword.lower() in KEYWORDS:
            found.setdefault(keyword.lower(), []).append(value)
    return found


def statements(text: str) -> list[tuple[str, str]]:
    """Each keyword in lower case, and what follows it."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [(found[1].lower(), found[2]) for line in lines if (found := STATEMENT.match(line))]


def includes(text: str) -> list[str]:
    """The patterns of the files that are read as well."""
    found: list[str] = []
    for keyword, rest in statements(text):
        if keyword == "include":
            try:
                found += shlex.split(rest)
            except ValueError:
                continue
    return found


def has_effect(texts: Iterable[str]) -> bool:
    """Whether the files can change how any host is reached."""
    return any(keyword not in WITHOUT_EFFECT for text in texts for keyword, _ in statements(text))


def names_users(texts: Iterable[str], words: Sequence[str] = ()) -> bool:
    said = any(keyword == "user" for text in texts for keyword, _ in statements(text))
    return said or any(word.startswith("-l") or word.lower().startswith(("user=", "user ", "-ouser")) for word in words)


def varies(texts: Iterable[str]) -> bool:
    """Whether the answer may be another one although the files are the same."""
    return any(
        (keyword == "match" and re.search(r"(?:^|\s)!?(?:exec|localnetwork)[\s=]", rest, re.IGNORECASE))
        or (keyword == "canonicalizehostname" and rest.lower() != "no")
        or "${" in rest
        for text in texts
        for keyword, rest in statements(text)
    )


def asking_for_users(files: Sequence[str]) -> str:
    """A configuration like that of `files`, in which nobody logs in where they say no user."""
    return "".join(f'Include "{file}"\nMatch all\n' for file in files) + f"Match all\n  User {NOBODY}\n"
