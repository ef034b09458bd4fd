"""Which ports an engine has published for a container, also those that it chose itself. Pure.

Each engine has words of its own for them; what cannot be read is left out, because nothing is decided by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from duckconf.ports import EVERYWHERE, Port

DOCKER_WORDS = re.compile(
    r"(?:\[?(?P<ip>[0-9.]*|[0-9a-fA-F:]*)\]?:)?(?P<host>\d+)(?:-\d+)?->(?P<inside>\d+)(?:-(?P<last>\d+))?/(?P<kind>\w+)"
)
# Podman's word and docker's, on the node and in the container.
NUMBERS = (("host_port", "PublicPort"), ("container_port", "PrivatePort"))


def published(told: Any) -> tuple[str, ...]:
    """As `Port` shows them, each once although an engine lists the families of addresses apart."""
    ports = _of_words(told) if isinstance(told, str) else map(_of_entry, told) if isinstance(told, list) else ()
    return tuple(str(port) for port in sorted({port for port in ports if port is not None}, key=_order))


def _of_words(text: str) -> Iterable[Port]:
    """`docker ps`: `0.0.0.0:32768->80/tcp, [::]:32768->80/tcp, 443/tcp`; the last one is not published."""
    for match in map(DOCKER_WORDS.fullmatch, text.split(", ")):
        if match:
            count = int(match["last"] or match["inside"]) - int(match["inside"]) + 1
            yield Port(int(match["inside"]), int(match["host"]), _address(match["ip"] or ""), match["kind"], count)


def _of_entry(entry: Any) -> Optional[Port]:
    """One of podman's list, or of the list of docker's API."""
    if not isinstance(entry, Mapping):
        return None
    try:
        host, inside = (int(entry.get(podman) or entry.get(docker) or 0) for podman, docker in NUMBERS)
        count = int(entry.get("range") or 1)
    except (TypeError, ValueError):
        return None
    address = str(entry.get("host_ip") or entry.get("IP") or "")
    kind = str(entry.get("protocol") or entry.get("Type") or "tcp")
    return Port(inside, host, _address(address), kind, count) if host and inside else None


def _address(text: str) -> str:
    return "" if text in EVERYWHERE else text


def _order(port: Port) -> tuple[int, str, str]:
    return port.inside, port.protocol, str(port)
