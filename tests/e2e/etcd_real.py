"""Members of a real etcd, as processes of a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from duckconf.errors import NotNow
from duckconf.reach.api.etcd import Gateway, coded
from tests.e2e.conftest import ROOT, free_ports
from tests.waiting import until


class Certificates(NamedTuple):
    """Of a CA, and of one who serves and calls."""

    ca: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    found = Certificates(folder / "ca.pem", folder / "member.pem", folder / "member.key")
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    ca_key = folder / "ca.key"
    ours = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth")
    signed = ("-CA", found.ca, "-CAkey", ca_key, "-keyout", found.key, "-out", found.certificate)
    for argv in (
        (*new, "-subj", "/CN=a CA", "-keyout", ca_key, "-out", found.ca),
        (*new, "-subj", "/CN=member", *ours, "-addext", "basicConstraints=critical,CA:false", *signed),
    ):
        subprocess.run(argv, check=True, capture_output=True, timeout=20)
    return found


class Member:
    """One etcd process, with a cluster of its own or one of those of `together`; with `tls` it takes clients with a certificate
    alone."""

    def __init__(
        self, folder: Path, tls: Certificates | None = None, name: str = "default", peers: Mapping[str, str] | None = None
    ) -> None:
        """`peers` has the address of each member for the others, by name; with it, who makes it waits for all of them."""
        self.tls = tls
        peers = peers or {name: f"http://127.0.0.1:{free_ports(1)[0]}"}
        client, peer = f"http{'s' if tls else ''}://127.0.0.1:{free_ports(1)[0]}", peers[name]
        self.endpoint = client
        argv = ("etcd", "--name", name, "--data-dir", folder, "--listen-client-urls", client, "--advertise-client-urls", client)
        initial = ",".join(f"{other}={url}" for other, url in peers.items())
        more = ("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", initial)
        trust: tuple[str | Path, ...] = ()
        if tls:
            own = ("--cert-file", tls.certificate, "--key-file", tls.key)
            trust = ("--client-cert-auth", "--trusted-ca-file", tls.ca, *own)
        self.argv = (*argv, *more, *trust, "--max-txn-ops", "10000")
        self.start(waits=len(peers) == 1)

    def gateway(self, seconds: float = 5.0) -> Gateway:
        ca_file, certificate, key = map(str, self.tls or ("", "", ""))
        return Gateway([self.endpoint], ca_file, certificate, key, seconds)

    def start(self, *, waits: bool = True) -> None:
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if waits:
            self.await_answer()

    def await_answer(self) -> None:
        gateway = self.gateway(1.0)
        until("etcd answers", lambda: answers(gateway))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


class Line:
    """The way of one client to a member: it can be frozen, and nothing comes or goes, without an end of the connections."""

    def __init__(self, member: Member) -> None:
        port = free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{port}"
        argv = (sys.executable, "-m", "tests.relay", str(port), member.endpoint.rsplit(":", 1)[1])
        self.process = subprocess.Popen(argv, cwd=ROOT)


def answers(gateway: Gateway) -> bool:
    try:
        return bool(gateway.call("/v3/kv/range", {"key": coded("x")}))
    except NotNow:
        return False


def three(folder: Path) -> dict[str, Member]:
    """A cluster of three that answers."""
    peers = {f"m{number}": f"http://127.0.0.1:{port}" for number, port in enumerate(free_ports(3), 1)}
    members = {name: Member(folder / name, name=name, peers=peers) for name in peers}
    for member in members.values():
        member.await_answer()
    return members


def leader_of(members: Mapping[str, Member]) -> str:
    """The name of the member that leads now."""
    found: list[str] = []

    def leads(member: Member) -> bool:
        told = member.gateway(2.0).call("/v3/maintenance/status", {})
        return bool(told.get("leader") == told["header"]["member_id"])

    def one_leads() -> bool:
        found[:] = [name for name, member in members.items() if leads(member)]
        return bool(found)

    until("one of them leads", one_leads)
    return found[0]
