"""A published port: where it listens on the node, and what it leads to in the container.

Pure. `parse_port` reads the words that people and state files use, `conflict` says which of two apps' ports cannot be
held on one node at the same time.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

FORM = "[IP:]HOST:CONTAINER or CONTAINER alone, ranges such as 8000-8002:80-82, /tcp, /udp or /sctp"
PORT = re.compile(
    r"(?:(?P<ip>[0-9]+(?:\.[0-9]+){3}|\[[0-9a-fA-F:.]+\]):(?=:|[0-9-]+:))?"
    r"(?:(?P<host>[0-9]{1,5}(?:-[0-9]{1,5})?):|(?<=:):)?"
    r"(?P<inside>[0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
HIGHEST = 65535
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


@dataclass(frozen=True)
class Port:
    """`count` ports in a row, `host` on the node leading to `inside` in the container and so on. A `host` of None is the
    engine's choice; an `address` of "" is every address of the node."""

    inside: int
    host: Optional[int] = None
    address: str = ""
    protocol: str = "tcp"
    count: int = 1

    def __str__(self) -> str:
        """As people write it, without what goes without saying."""
        host = _span(self.host, self.count) if self.host is not None else ""
        before = f"{self._prefix}{host}:" if host or self.address else ""
        return f"{before}{_span(self.inside, self.count)}" + (f"/{self.protocol}" if self.protocol != "tcp" else "")

    @property
    def on_node(self) -> str:
        """What is held on the node, such as `8080/tcp` or `127.0.0.1:53/udp`; "" when the engine chooses."""
        return f"{self._prefix}{_span(self.host, self.count)}/{self.protocol}" if self.host is not None else ""

    @property
    def _prefix(self) -> str:
        return f"[{self.address}]:" if ":" in self.address else f"{self.address}:" if self.address else ""

    def overlaps(self, other: Port) -> bool:
        """Whether only one of the two can be held on a node. An address that means all of them overlaps every other."""
        if self.host is None or other.host is None or self.protocol != other.protocol:
            return False
        meets = self.host < other.host + other.count and other.host < self.host + self.count
        return meets and (self.address == other.address or bool({self.address, other.address} & EVERYWHERE))


@functools.lru_cache(maxsize=4096)
def parse_port(text: str) -> Port:
    """Raises ValueError with what would be right."""
    match = PORT.fullmatch(text)
    if not match:
        raise ValueError("should be HOST:CONTAINER such as 8080:80, or CONTAINER alone")
    inside, count = _range(match["inside"])
    host, host_count = _range(match["host"]) if match["host"] else (None, count)
    if host_count != count:
        raise ValueError("should have ranges of equal length on both sides")
    return Port(inside, host, _address(match["ip"] or ""), match["protocol"] or "tcp", count)


def parse_held(text: str) -> Port:
    """A port as `Port.on_node` shows it, which is all that is known of a port that another app holds. Raises ValueError."""
    place, _, protocol = text.rpartition("/")
    return parse_port(f"{place}:{place.rpartition(':')[2]}/{protocol}")


def conflict(wanted: Iterable[Port], taken: Iterable[Port]) -> Optional[Port]:
    """The first of the wanted ports that cannot be held beside those that are taken, None when all can."""
    held = tuple(taken)
    return next((port for port in wanted if any(port.overlaps(other) for other in held)), None)


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    begin, end = int(first), int(last or first)
    if not 0 < begin <= end <= HIGHEST:
        raise ValueError(f"should have ports from 1 to {HIGHEST}, the lower one first")
    return begin, end - begin + 1


def _address(text: str) -> str:
    """One spelling of each; an IPv4 address that is written as an IPv6 one (::ffff:127.0.0.1) is the same to the kernel."""
    try:
        parsed = ipaddress.ip_address(text.strip("[]")) if text else ""
    except ValueError:
        raise ValueError("should have an IP address of the node before its port") from None
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
