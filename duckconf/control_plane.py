"""What the inventory says of the control plane as a whole: how its API proves who it is, and where its state is kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from duckconf.errors import Fault
from duckconf.inventory_variables import read_truth
from duckconf.net_address import with_port

PORTS = {"http": 80, "https": 443}
# Between the APIs of two demo hosts. Not the next port: lessons publish apps on those.
PORT_STEP = 100
FILES = "files"
ETCD = "etcd"
STORES = (FILES, ETCD)


@dataclass(frozen=True)
class Tls:
    """How the API proves who it is: with these files, or, without a certificate, with one of the cluster's own CA."""

    certificate: str = ""
    key: str = ""
    ca: str = ""


def read_tls(variables: Mapping[str, Any], faults: list[Fault]) -> Tls | None:
    """From the variables of the control plane's first host; None for plain HTTP."""
    certificate, key, ca = (str(variables.get(f"duckconf_tls_{name}") or "") for name in ("certificate", "key", "ca"))
    if bool(certificate) != bool(key):
        faults.append(Fault("duckconf_tls_certificate", "and duckconf_tls_key should be given together"))
    wanted = read_truth(variables, "duckconf_tls", bool(certificate), "duckconf_tls", faults)
    return Tls(certificate, key, ca) if wanted else None


def read_store(hosts: Sequence[Mapping[str, Any]], faults: list[Fault]) -> str:
    """One word for all hosts of the control plane, whose variables `hosts` has: several share etcd where nothing is said."""
    if any("duckconf_etcd" in variables for variables in hosts):
        faults.append(Fault("duckconf_etcd", f"is called duckconf_store now: {ETCD} instead of true, {FILES} instead of false"))
    default = ETCD if len(hosts) > 1 else FILES
    words = {str(variables.get("duckconf_store") or default) for variables in hosts} or {default}
    if len(words) > 1 or not words <= set(STORES):
        wanted = f"should be {' or '.join(STORES)} for all of the group control_plane"
        faults.append(Fault("duckconf_store", f"{wanted}, got {', '.join(sorted(words))}"))
    elif words == {FILES} and len(hosts) > 1:
        wanted = f"{FILES} is for one host, as several cannot share them, and the group control_plane has {len(hosts)}"
        faults.append(Fault("duckconf_store", f"{wanted}: leave it out, or set {ETCD}"))
    return min(words)


def addresses_of(given: Sequence[str], hosts: int) -> tuple[str, ...]:
    """Where this machine finds the API servers of so many demo hosts: those that are not given follow the first one, each
    PORT_STEP further. What is given for more hosts than there are is left out."""
    first = urlsplit(given[0])
    port = first.port or PORTS.get(first.scheme, 0)
    more = [f"{first.scheme}://{with_port(first.hostname or '', port + PORT_STEP * number)}" for number in range(hosts)]
    return (*given[:hosts], *more[len(given) :])
