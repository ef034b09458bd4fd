"""The certificates of etcd's members and of its clients, by a CA that signs for nothing else.

Whoever has a certificate of that CA may read and write all state. That is why it is not the CA of the API, which the
inventory may name and which may have signed for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID

from duckconf.cli.cluster.certificates import LOOPBACK, ensure_ca, ensure_signed

FOLDER = Path("tls") / "etcd"


@dataclass(frozen=True)
class EtcdFiles:
    """On the operator's machine. `client` has no names: it calls from anywhere. The key of each lies beside it, as `.key`."""

    ca: Path
    client: Path

    def of(self, host: str) -> Path:
        return self.ca.with_name("members") / f"{host}.pem"


def member_subject(cluster: str) -> str:
    """The name in the certificates of members, by which they know each other; a client has another one."""
    return f"member.etcd.{cluster}"


def ensure_etcd_certificates(state: Path, cluster: str, members: Mapping[str, Iterable[str]], now: float) -> EtcdFiles:
    """`members` has the names and addresses of each host. Raises SetupError for a CA that is not ours."""
    folder = state / FOLDER
    files = EtcdFiles(folder / "ca.pem", folder / "client.pem")
    files.of("").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = ensure_ca(files.ca, f"etcd of {cluster}", now)
    # A member serves, and calls the others.
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    for host, names in members.items():
        ensure_signed(ca, files.of(host), member_subject(cluster), {*LOOPBACK, host, *names}, both, now)
    ensure_signed(ca, files.client, f"client.etcd.{cluster}", (), (ExtendedKeyUsageOID.CLIENT_AUTH,), now)
    return files
