"""Network addresses as URLs and `HOST:PORT` have them: IPv6 in brackets, one spelling for each. Pure."""

from __future__ import annotations

import ipaddress


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
