"""Network addresses as URLs and `HOST:PORT` have them: IPv6 in brackets, one spelling for each. Pure."""

from __future__ import annotations

import ipaddress
import re

LONGEST_NAME = 253
NAMED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?")


def bracketed(address: str) -> str:
    """A name or an address for use before `:PORT`; an IPv6 address in its shortest spelling, so that two can be compared."""
    bare = address.removeprefix("[").removesuffix("]")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return address
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def with_port(address: str, port: int) -> str:
    return f"{bracketed(address)}:{port}"


def is_host_or_address(text: str) -> bool:
    """Whether it may stand for a machine: an IP address without brackets, or a name of letters, digits, - and dots."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= LONGEST_NAME and bool(NAMED.fullmatch(text))
    return True
