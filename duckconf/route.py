"""How one host is reached and administered, from what Ansible and OpenSSH resolved; what is not supported is refused by name.

Pure. A refusal is a result of its host, and names the variable or setting, the place where it stands, and what to do.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckconf.errors import BadInput
from duckconf.ssh_address import read_address
from duckconf.ssh_config import ERROR, NO_FILE, Answer, Question

Origins = Mapping[str, Sequence[str]]
# Ansible's names for the connection that Duckconf has, too.
OVER_SSH = ("ssh", "smart", "ansible.builtin.ssh", "mitogen_ssh")
SUDO = ("sudo", "ansible.builtin.sudo", "mitogen_sudo")
# What we add to sudo ourselves: whether it may ask, and where it reads.
OURS_TO_SUDO = ("-n", "--non-interactive", "-S", "--stdin")
TOKEN = re.compile(r"%(.?)")
# `ssh -G` writes several files in a row without quotes.
NEXT_FILE = re.compile(r" (?=[/~%])")

PROXY_COMMAND = "ProxyCommand="


@dataclass(frozen=True)
class Refusal:
    """Why a host cannot be used as the inventory or ssh's configuration has it, and what to do."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Way:
    """What ssh's configuration adds to address, port and user. The defaults are those of a host of which it says nothing."""

    alias: str = ""
    """The name under which its host key is known (HostKeyAlias)."""
    known_hosts: tuple[str, ...] | None = None
    key_files: tuple[str, ...] | None = None
    """Tried in this order where they exist; None for OpenSSH's usual ones."""
    agent: bool = True
    other_agent: str = ""
    """An agent that the configuration names and we cannot ask."""
    family: str = "any"
    bind: str = ""
    proxy: tuple[str, ...] = ()
    """The program whose input and output are the connection."""
    jump: str = ""
    """What the program is to people: `the jump host web`."""
    try_jump: str = ""
    """How a person logs in at the jump host; "" for a program of the person's own."""


DIRECT = Way()


@dataclass(frozen=True)
class Route:
    """`user` is "" where neither Ansible nor ssh's configuration says one."""

    address: str
    port: int = 22
    user: str = ""
    way: Way = DIRECT
    refused: Refusal | None = None
    words: tuple[str, ...] = ()
    """What the inventory and ansible.cfg add to the command line of ssh."""


def route(asked: Question, answer: Answer) -> Route:
    """From the answer of `ssh -G`."""
    if ERROR in answer:
        reason = f"ssh cannot read its configuration for {asked.host}: {_of(answer, ERROR)}"
        return Route(asked.host, refused=Refusal(reason, f"try: ssh -G {asked.host}"))
    address, written = _of(answer, "hostname") or asked.host, _of(answer, "port") or "22"
    if not (written.isascii() and written.isdigit()):
        return Route(address, refused=Refusal(f"Port {written} in ssh's configuration is no port", "see ssh_config(5)"))
    port = int(written)
    user = asked.user or _of(answer, "user")
    agent = _of(answer, "identityagent")
    usual = agent in ("", "SSH_AUTH_SOCK", "$SSH_AUTH_SOCK")
    tokens = {"h": address, "n": asked.host, "p": str(port), "r": user, "%": "%"}
    try:
        proxy, jump, try_jump = _proxy(asked, answer, tokens)
        # In names of files two more are allowed: the home, and the name of the host key.
        tokens |= {"d": "~", "k": _of(answer, "hostkeyalias") or address}
        keys, certificates, known = ([_expanded(*item, tokens) for item in files] for files in _files(answer))
    except ValueError as error:
        return Route(address, port, user, refused=Refusal(str(error), "write it without that, or see ssh_config(5)"))
    way = Way(
        alias=_of(answer, "hostkeyalias"),
        known_hosts=tuple(known),
        key_files=tuple(keys),
        agent=usual and _of(answer, "identitiesonly") != "yes",
        other_agent="" if usual or agent == NO_FILE else agent,
        family=_of(answer, "addressfamily") or "any",
        bind=_of(answer, "bindaddress"),
        proxy=proxy,
        jump=jump,
        try_jump=try_jump,
    )
    return Route(address, port, user, way, _not_supported(answer, keys, certificates))


def _of(answer: Answer, keyword: str) -> str:
    return next(iter(answer.get(keyword, ())), "")


def _files(answer: Answer) -> Iterator[list[tuple[str, str]]]:
    """Keys, certificates and lists of known hosts, each with its keyword."""
    yield [("IdentityFile", file) for file in answer.get("identityfile", ())]
    yield [("CertificateFile", file) for file in answer.get("certificatefile", ())]
    listed = [(keyword, _of(answer, keyword.lower())) for keyword in ("UserKnownHostsFile", "GlobalKnownHostsFile")]
    yield [(keyword, file) for keyword, files in listed for file in NEXT_FILE.split(files) if file not in ("", NO_FILE)]


def _not_supported(answer: Answer, keys: Sequence[str], certificates: Sequence[str]) -> Refusal | None:
    """Settings that other programs than ssh cannot honour, and without which the host would not be reached as it is meant."""
    elsewhere = set(certificates) - {f"{key}-cert.pub" for key in keys}
    remedies = {
        "ProxyUseFdpass": ("yes" if _of(answer, "proxyusefdpass") == "yes" else "", "use a ProxyCommand that passes the bytes"),
        "PKCS11Provider": (_of(answer, "pkcs11provider"), "add the key to ssh-agent (ssh-add -s)"),
        "RevokedHostKeys": (_of(answer, "revokedhostkeys"), "write the keys into known_hosts, marked @revoked"),
        "BindInterface": (_of(answer, "bindinterface"), "use BindAddress"),
        "CertificateFile": (min(elsewhere, default=""), "put it beside its key, as KEY-cert.pub"),
    }
    for keyword, (value, remedy) in remedies.items():
        if value and value != NO_FILE:
            return Refusal(f"ssh's configuration has {keyword} {value}, which is not supported", remedy)
    return None


def _proxy(asked: Question, answer: Answer, tokens: Mapping[str, str]) -> tuple[tuple[str, ...], str, str]:
    """The program that connects, its name for people, and how they try it; raises ValueError."""
    jumps, command = _of(answer, "proxyjump"), _of(answer, "proxycommand")
    if jumps and jumps != NO_FILE:
        hops = [hop.strip() for hop in _expanded("ProxyJump", jumps, tokens).split(",")]
        if not all(hops):
            raise ValueError(f"ssh's configuration has ProxyJump {jumps}, in which a host is missing")
        file = ("-F", asked.file) if asked.file else ()
        argv = jump_argv((asked.ssh, *file), hops, f"[{tokens['h']}]:{tokens['p']}")
        last = hops[-1] if "://" in hops[-1] else f"ssh://{hops[-1]}" if ":" in hops[-1] else hops[-1]
        through = ("-J", ",".join(hops[:-1])) if hops[1:] else ()
        return argv, f"the jump host {hops[-1]}", shlex.join((asked.ssh, *file, *through, last))
    if command and not command.strip():
        raise ValueError("ssh's configuration has a ProxyCommand that is blank")
    if command and command != NO_FILE:
        return ("sh", "-c", f"exec {_expanded('ProxyCommand', command, tokens)}"), f"ProxyCommand {command.split()[0]}", ""
    return (), "", ""


def _expanded(keyword: str, text: str, tokens: Mapping[str, str]) -> str:
    unknown = [found for found in TOKEN.findall(text) if found not in tokens]
    if unknown:
        raise ValueError(f"ssh's configuration has {keyword} with %{unknown[0]}, which is not supported")
    return TOKEN.sub(lambda found: tokens[found[1]], text)


def jump_argv(ssh: Sequence[str], hops: Sequence[str], target: str) -> tuple[str, ...]:
    """ssh through the last of `hops`, which is reached through those before it. Each checks the host key of the next and
    asks nobody; an unknown key is refused."""
    *before, hop = hops
    try:
        where = read_address(hop)
    except BadInput as error:
        raise ValueError(f"ssh's configuration has ProxyJump {hop}: {error}") from None
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ControlMaster=no"]
    if before:
        options.append(f"{PROXY_COMMAND}{shlex.join(_nested(jump_argv(ssh, before, '[%h]:%p')))}")
    login = (*(("-l", where.user) if where.user else ()), *(("-p", str(where.port)) if where.port else ()))
    return (*ssh, *(word for option in options for word in ("-o", option)), *login, "-W", target, "--", where.host)


def _nested(argv: Sequence[str]) -> list[str]:
    """The command of a jump host inside that of the next one, whose ssh puts its own host in for the tokens of it all: those
    of a jump before this one are for another ssh."""
    return [word.replace("%", "%%") if word.startswith(PROXY_COMMAND) else word for word in argv]


def refused_connection(variables: Mapping[str, Any], origins: Origins) -> Refusal | None:
    """What Ansible's own variables and settings ask for and only Ansible has."""
    connection = str(variables.get("ansible_connection") or "ssh")
    if connection not in OVER_SSH:
        remedy = "reach it over SSH (for this machine: its own sshd, ansible_host 127.0.0.1), or take it out of the group"
        return Refusal(f"{named('ansible_connection', origins)} is {connection}, and only ssh is supported", remedy)
    if variables.get("ansible_private_key"):
        remedy = "name a file with ansible_ssh_private_key_file, or add the key to ssh-agent"
        return Refusal(f"{named('ansible_private_key', origins)} holds a key, which is not supported", remedy)
    if provider := variables.get("ansible_ssh_pkcs11_provider"):
        reason = f"{named('ansible_ssh_pkcs11_provider', origins)} is {provider}, which is not supported"
        return Refusal(reason, f"add the key to ssh-agent: ssh-add -s {provider}")
    return None


def refused_root(variables: Mapping[str, Any], origins: Origins, user: str, root: str) -> Refusal | None:
    """Why the administrator cannot become root as the inventory has it."""
    wanted = str(variables.get("ansible_become_user") or root)
    if wanted != root:
        return Refusal(
            f"{named('ansible_become_user', origins)} is {wanted}, and the roles need {root}", "remove it for this host"
        )
    if user == root:
        return None
    method = str(variables.get("ansible_become_method") or SUDO[0])
    if method not in SUDO:
        remedy = f"allow {user} sudo there and set ansible_become_method: sudo, or log in as {root}"
        return Refusal(f"{named('ansible_become_method', origins)} is {method}, and only sudo is supported", remedy)
    if str(variables.get("ansible_become", True)).lower() in ("false", "no", "0", "off"):
        reason = f"{named('ansible_become', origins)} is false, and {user} is not {root}, which the roles need"
        return Refusal(reason, f"remove it for this host, or log in as {root}")
    return None


def sudo(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The program that makes root of the administrator, with its own options; raises ValueError with a variable's name."""
    words: list[str] = []
    for name, usual in (("ansible_become_exe", SUDO[0]), ("ansible_become_flags", "")):
        try:
            words += shlex.split(str(variables.get(name) or usual))
        except ValueError:
            raise ValueError(name) from None
    return tuple(word for word in words if word not in OURS_TO_SUDO)


def unreadable(variable: str, origins: Origins) -> Refusal:
    return Refusal(f"{named(variable, origins)} has a quote that does not close", "close it")


def named(variable: str, origins: Origins) -> str:
    """As the person wrote it, with its place where Ansible tells."""
    name, place = origins.get(variable, (variable, ""))
    return f"{name} ({place})" if place else name
