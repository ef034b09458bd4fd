"""What may stand in the fields that say how a container is set up: its user, limits, capabilities, network, signals. Pure.

Each is a kind of `kinds.py`. Words that podman splits at commas have none, so that both engines read the same.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf import long_forms
from duckconf.durations import DURATION, seconds_in
from duckconf.errors import Fault
from duckconf.field_kinds import Mounts
from duckconf.kinds import TEXT, Listed, Pairs, Word, Words, encodable, pattern, text_of

LONGEST_HOSTNAME = 63
# The removal of an app waits for it, and so does what follows on the node.
LONGEST_GRACE = 3600.0
USER = re.compile(r"[\w.$@+-]+(?::[\w.$@+-]+)?", re.ASCII)
GROUP = re.compile(r"[\w.$@+-]+", re.ASCII)
FOLDER = re.compile(r"/(?:[^\x00]*[^\s\x00])?")
HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*")
TMPFS = re.compile(r"/[^:\x00]*(?::[^:\x00]+)?")
CAPABILITY = re.compile(r"[A-Za-z][A-Za-z_]*")
# A path below /dev, or a CDI name such as nvidia.com/gpu=all.
DEVICE = re.compile(r"/[^:,\"\x00-\x1f]+(?::/[^:,\"\x00-\x1f]+)?(?::[rwm]{1,3})?|[a-zA-Z0-9.-]+/[\w.-]+=[\w.:-]+", re.ASCII)
LIMIT = re.compile(r"(?P<soft>-1|[0-9]{1,19})(?::(?P<hard>-1|[0-9]{1,19}))?")
LIMIT_NAME = re.compile(r"[a-z]+")
SYSCTL = re.compile(r"[a-z0-9_]+(?:[./][a-zA-Z0-9_-]+)+")
ADDED_HOST = re.compile(r"(?P<name>[a-zA-Z0-9_][a-zA-Z0-9_.-]*)[=:](?P<address>host-gateway|\[?[0-9a-fA-F.:]+\]?)")
SECURITY = re.compile(r"[a-z][a-z-]*(?:[=:][^\x00-\x1f]*[^\x00-\x1f=])?")
SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]*(?:[+-][0-9]{1,2})?|[0-9]{1,2}")
NETWORKS = ("bridge", "host", "none")
STACK = re.compile(r"(?:stack|service):[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ALIAS = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*")
PULLS = {"always": "always", "missing": "missing", "if_not_present": "missing", "never": "never"}


class Entrypoint(Words):
    """A command line of which the flag has the first word. An empty one takes the image's own away."""

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        return super().check(path, value, faults) or ("",)

    def arguments(self, value: Sequence[str]) -> list[str]:
        return [value[0]]


class Duration(Word):
    """Whole seconds for the engine, the next full one."""

    def from_option(self, typed: Any) -> object:
        """Docker's option of this name has seconds without a unit."""
        return f"{typed}s" if typed.isascii() and typed.isdigit() else typed

    def arguments(self, value: str) -> list[str]:
        return [str(math.ceil(seconds_in(value)))]


class Limits(Pairs):
    """Kept as `SOFT` or `SOFT:HARD`, and in JSON as the Compose Spec has them."""

    def plain(self, value: Mapping[str, str]) -> object:
        return {name: _limit_to_json(limit) for name, limit in value.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema()}


class AddedHosts(Listed):
    """Lines of /etc/hosts, kept as `NAME=ADDRESS`; the engines take a colon. An object has one address or a list for a name."""

    def check(self, path: str, value: object, faults: list[Fault]) -> tuple[Any, ...]:
        if isinstance(value, Mapping):
            pairs = [(name, item if isinstance(item, (list, tuple)) else [item]) for name, item in value.items()]
            value = [f"{name}={address}" for name, addresses in pairs for address in addresses]
        return super().check(path, value, faults)

    def schema(self) -> dict[str, Any]:
        address = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        return {"oneOf": [super().schema(), {"type": "object", "additionalProperties": address}]}

    def arguments(self, value: Sequence[str]) -> list[str]:
        return [host.replace("=", ":", 1) for host in value]


class Securities(Listed):
    """Podman takes no colon after the name, docker both; without a value it means true."""

    def arguments(self, value: Sequence[str]) -> list[str]:
        return [str(self.item.meaning(option)) for option in value]


class Pull(Word):
    def arguments(self, value: str) -> list[str]:
        return [PULLS[value]]


def matching(expression: re.Pattern[str], rule: str) -> Word:
    """A word, or a whole number that stands for one."""

    def read(value: object) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(text, str) and expression.fullmatch(text) and encodable(text):
            return text
        raise ValueError(rule)

    return Word(read, {"type": ["string", "integer"]})


def _tmpfs(value: object) -> str:
    text = long_forms.tmpfs(value) if isinstance(value, Mapping) else value
    if isinstance(text, str) and TMPFS.fullmatch(text) and encodable(text):
        return text
    raise ValueError("should be a path in the container, optionally with options: /run:size=64m,mode=1777")


def _duration(value: object) -> str:
    if isinstance(value, str) and seconds_in(value) <= LONGEST_GRACE:
        return value
    raise ValueError("should be a duration of at most 1h, such as 10s or 1m30s")


def _device(value: object) -> str:
    text = long_forms.device(value) if isinstance(value, Mapping) else value
    if isinstance(text, str) and DEVICE.fullmatch(text) and encodable(text):
        return text
    raise ValueError("should be /dev/NAME, optionally with :/dev/NAME in the container and :rwm, or a CDI name")


def _limit(value: object) -> str:
    if isinstance(value, Mapping):
        if set(value) != {"soft", "hard"}:
            raise ValueError("should have soft and hard")
        value = ":".join(text_of(value[key]) for key in ("soft", "hard"))
    match = LIMIT.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("should be a number, SOFT:HARD or an object with soft and hard; -1 is no limit")
    soft, hard = (int(match[key] or match["soft"]) for key in ("soft", "hard"))
    if hard != -1 and not -1 < soft <= hard:
        raise ValueError("should have a soft limit that is not above the hard one")
    return str(value)


def _limits(text: str) -> tuple[int, int]:
    soft, _, hard = text.partition(":")
    return int(soft), int(hard or soft)


def _limit_to_json(text: str) -> object:
    soft, hard = _limits(text)
    return {"soft": soft, "hard": hard} if ":" in text else soft


def _limit_name(name: str) -> str:
    return "" if LIMIT_NAME.fullmatch(name) else "a limit's name should be one such as nofile or nproc"


def _sysctl_name(name: str) -> str:
    return "" if SYSCTL.fullmatch(name) else "should be the name of a kernel parameter such as net.core.somaxconn"


def _added_host(value: object) -> str:
    match = ADDED_HOST.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError
        address = match["address"].strip("[]")
        return f"{match['name']}={address if address == 'host-gateway' else ipaddress.ip_address(address)}"
    except ValueError:
        raise ValueError("should be NAME=ADDRESS such as db.local=192.0.2.7, or NAME:ADDRESS, or NAME=host-gateway") from None


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else _address("")
    except ValueError:
        raise ValueError("should be the IP address of a DNS server") from None


def _network(value: object) -> str:
    if value in NETWORKS or (isinstance(value, str) and STACK.fullmatch(value)):
        return str(value)
    if isinstance(value, str) and value.startswith("container:"):
        raise ValueError("cannot be the network of a container, which is made anew with another name; name its app: service:APP")
    raise ValueError("should be bridge, host, none, stack:NAME or service:APP")


def _security(value: object) -> str:
    if isinstance(value, str) and SECURITY.fullmatch(value) and encodable(value):
        return value
    raise ValueError("should be an option such as no-new-privileges, seccomp=unconfined or label=disable")


def _same_security(value: str) -> str:
    name, value = re.split("[=:]", f"{value}=", maxsplit=1)
    value = value.removesuffix("=")
    return f"{name}={value}" if value and (name, value) != ("no-new-privileges", "true") else name


def _pull(value: object) -> str:
    if isinstance(value, str) and value in PULLS:
        return value
    if value == "build":
        raise ValueError("cannot be build: build the image here and send it with ./inv push-image IMAGE")
    raise ValueError(f"should be {', '.join(PULLS)}")


def _capability(value: object) -> str:
    if isinstance(value, str) and CAPABILITY.fullmatch(value):
        return value
    raise ValueError("should be a capability such as NET_ADMIN, or ALL")


ENTRYPOINT_KIND = Entrypoint(TEXT)
TMPFS_KIND = Mounts(Word(_tmpfs, {"type": ["string", "object"]}), one=True, place=0)
USER_KIND = matching(USER, "should be a user or an id, optionally with a group: 1000:1000")
GROUPS_KIND = Listed(matching(GROUP, "should be a group or an id"))
FOLDER_KIND = matching(FOLDER, "should be an absolute path in the container")
HOSTNAME_KIND = pattern(HOSTNAME, f"should be a host name of at most {LONGEST_HOSTNAME} characters", LONGEST_HOSTNAME)
CAPABILITIES_KIND = Listed(Word(_capability, sense=lambda name: str(name).upper().removeprefix("CAP_")))
DEVICES_KIND = Listed(Word(_device, {"type": ["string", "object"]}))
LIMITS_KIND = Limits(_limit_name, Word(_limit, {"type": ["integer", "string", "object"]}, sense=_limits))
SYSCTLS_KIND = Pairs(_sysctl_name, Word(text_of, {"type": ["string", "number"]}))
HOSTS_KIND = AddedHosts(Word(_added_host))
DNS_KIND = Listed(Word(_address), one=True)
NETWORK_KIND = Word(_network, {"type": "string", "pattern": f"^(?:{'|'.join(NETWORKS)}|{STACK.pattern})$"})
ALIASES_KIND = Listed(pattern(ALIAS, "should be a name that is looked up: letters, digits, '.', '_' and '-'", 63))
SECURITY_KIND = Securities(Word(_security, sense=_same_security))
SIGNAL_KIND = matching(SIGNAL, "should be a signal such as SIGQUIT or 3")
GRACE_KIND = Duration(_duration, {"type": "string", "pattern": f"^(?:{DURATION.pattern})$"}, sense=seconds_in)
PULL_KIND = Pull(_pull, {"enum": list(PULLS)}, sense=PULLS.__getitem__)
