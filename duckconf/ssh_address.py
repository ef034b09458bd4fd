"""Where a host is, as people write it: HOST, HOST:PORT, USER@HOST, [V6]:PORT, ssh://USER@HOST:PORT. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from duckconf.errors import BadInput, Fault

SCHEME = "ssh://"


@dataclass(frozen=True)
class SshAddress:
    """`port` is 0 and `user` is "" where nothing was said of them."""

    host: str
    port: int = 0
    user: str = ""


def read_address(text: str, port: int = 0, user: str = "") -> SshAddress:
    """`port` and `user` are what was given beside it; raises BadInput where they say something else."""
    faults: list[Fault] = []
    rest = text[len(SCHEME) :].removesuffix("/") if text.lower().startswith(SCHEME) else text
    who, _, place = rest.rpartition("@")
    if ":" in who:
        faults.append(Fault("--host", "should hold no password: set ansible_password in the inventory, best in a vault"))
    host, typed_port = _split(place, faults)
    if port and typed_port and port != typed_port:
        faults.append(Fault("--port", f"says {port}, and --host says {typed_port}"))
    if user and who and user != who:
        faults.append(Fault("--user", f"says {user}, and --host says {who.partition(':')[0]}"))
    if faults:
        raise BadInput(*faults)
    return SshAddress(host, port or typed_port, user or who)


def _split(place: str, faults: list[Fault]) -> tuple[str, int]:
    """Host and port. More than one colon without brackets is an IPv6 address."""
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            faults.append(Fault("--host", f"should be [ADDRESS]:PORT, got {place!r}"))
            return place, 0
        port = rest[1:]
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    else:
        host, port = place, ""
    if not port:
        return host, 0
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        faults.append(Fault("--host", f"should end with a port from 1 to 65535, got {port!r}"))
        return host, 0
    return host, int(port)
