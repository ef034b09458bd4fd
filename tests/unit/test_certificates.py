"""Tokens and certificates of the agents: made once, readable by nobody else, and taken from the inventory where it has them."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from duckconf.cli.cluster.certificates import CertificateFiles, ensure_certificate
from duckconf.cli.cluster.etcd_certificates import EtcdFiles, ensure_etcd_certificates, member_subject
from duckconf.cli.cluster.tokens import ensure_tokens
from duckconf.control_plane import Tls
from duckconf.errors import BadInput, SetupError
from duckconf.inventory import read_inventory

NOW = 1_800_000_000.0
DAY = 86_400.0
NODES = ("node-1", "node-2", "node-3")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_text().strip().encode()).hexdigest()


class TestTokens:
    def test_they_are_made_once(self, tmp_path: Path) -> None:
        first = ensure_tokens(tmp_path, NODES)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert ensure_tokens(tmp_path, NODES) == first
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    def test_nobody_else_may_read_them(self, tmp_path: Path) -> None:
        files = ensure_tokens(tmp_path, NODES)
        paths = [files.operator, files.hashes, *(files.of(node) for node in NODES)]
        assert {path.name: mode(path) for path in paths} == {path.name: 0o600 for path in paths}
        assert mode(files.folder) == 0o700

    def test_each_is_another_and_hard_to_guess(self, tmp_path: Path) -> None:
        files = ensure_tokens(tmp_path, NODES)
        tokens = {path.read_text().strip() for path in [files.operator, *(files.of(node) for node in NODES)]}
        assert len(tokens) == 4
        assert all(len(token) >= 43 for token in tokens)

    def test_the_api_is_given_hashes_alone(self, tmp_path: Path) -> None:
        files = ensure_tokens(tmp_path, NODES)
        assert json.loads(files.hashes.read_text()) == {
            "operator": hash_of(files.operator),
            "nodes": {node: hash_of(files.of(node)) for node in NODES},
        }

    def test_a_node_that_left_is_known_no_more(self, tmp_path: Path) -> None:
        ensure_tokens(tmp_path, NODES)
        known = json.loads(ensure_tokens(tmp_path, NODES[:2]).hashes.read_text())
        assert sorted(known["nodes"]) == ["node-1", "node-2"]

    def test_a_removed_token_is_exchanged_for_a_new_one(self, tmp_path: Path) -> None:
        files = ensure_tokens(tmp_path, NODES)
        before = files.of("node-2").read_text()
        files.of("node-2").unlink()
        ensure_tokens(tmp_path, NODES)
        assert files.of("node-2").read_text() != before
        assert json.loads(files.hashes.read_text())["nodes"]["node-2"] == hash_of(files.of("node-2"))

    def test_an_empty_token_is_no_token(self, tmp_path: Path) -> None:
        ensure_tokens(tmp_path, NODES).operator.write_text("\n")
        with pytest.raises(SetupError, match="should hold a token"):
            ensure_tokens(tmp_path, NODES)


class TestCertificates:
    def ensure(self, folder: Path, *names: str, now: float = NOW) -> CertificateFiles:
        return ensure_certificate(folder, folder, Tls(), "demo", names or ("control-1",), now)

    def verify(self, files: CertificateFiles, subject: x509.GeneralName) -> None:
        assert files.ca is not None
        builder = PolicyBuilder().store(Store([x509.load_pem_x509_certificate(files.ca.read_bytes())]))
        leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        made = leaf.not_valid_before_utc.replace(tzinfo=None)
        builder.time(made).build_server_verifier(subject).verify(leaf, [])  # type: ignore[arg-type]

    def test_a_client_that_trusts_the_ca_accepts_it_by_name_and_on_loopback(self, tmp_path: Path) -> None:
        files = self.ensure(tmp_path, "control-1", "10.0.0.7")
        for subject in (x509.DNSName("control-1"), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("10.0.0.7"))):
            self.verify(files, subject)

    def test_keys_are_for_the_operator_alone(self, tmp_path: Path) -> None:
        files = self.ensure(tmp_path)
        assert {mode(path) for path in (files.key, tmp_path / "tls" / "ca.key")} == {0o600}

    def test_it_is_made_once(self, tmp_path: Path) -> None:
        before = self.ensure(tmp_path).certificate.read_bytes()
        assert self.ensure(tmp_path).certificate.read_bytes() == before

    @pytest.mark.parametrize(("names", "later"), [(("control-1", "cp.example"), 0.0), (("control-1",), 340 * DAY)])
    def test_new_names_or_its_near_end_renew_it_by_the_same_ca(
        self, tmp_path: Path, names: tuple[str, ...], later: float
    ) -> None:
        first = self.ensure(tmp_path)
        assert first.ca is not None
        certificate, ca = first.certificate.read_bytes(), first.ca.read_bytes()
        again = self.ensure(tmp_path, *names, now=NOW + later)
        assert again.certificate.read_bytes() != certificate
        assert first.ca.read_bytes() == ca
        self.verify(again, x509.DNSName(names[-1]))

    def test_named_files_are_used_as_they_are(self, tmp_path: Path) -> None:
        for name in ("cert.pem", "key.pem", "chain.pem"):
            (tmp_path / name).write_text(name)
        files = ensure_certificate(tmp_path, tmp_path, Tls("cert.pem", "key.pem", "chain.pem"), "demo", (), NOW)
        assert files == CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "chain.pem", own=False)
        assert (tmp_path / "tls" / "ca.pem").read_text() == "chain.pem"

    def test_a_named_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match=r"cert\.pem"):
            ensure_certificate(tmp_path, tmp_path, Tls("cert.pem", "key.pem"), "demo", (), NOW)


class TestTlsInTheInventory:
    def read(self, **variables: object) -> Tls | None:
        document = {"hosts": {"c": variables, "n": {}}, "groups": {"nodes": ["n"], "control_plane": ["c"]}}
        return read_inventory(document).tls

    def test_it_is_off_unless_asked_for(self) -> None:
        assert self.read() is None
        assert self.read(duckconf_tls="false") is None

    def test_the_clusters_own_ca(self) -> None:
        assert self.read(duckconf_tls=True) == Tls()

    def test_a_certificate_and_its_key_switch_it_on(self) -> None:
        assert self.read(duckconf_tls_certificate="a", duckconf_tls_key="b") == Tls("a", "b")

    @pytest.mark.parametrize(
        "variables", [{"duckconf_tls_certificate": "a"}, {"duckconf_tls_key": "b"}, {"duckconf_tls": "maybe"}]
    )
    def test_halves_and_nonsense_are_refused(self, variables: dict[str, object]) -> None:
        with pytest.raises(BadInput, match="duckconf_tls"):
            self.read(**variables)


class TestEtcd:
    def made(self, folder: Path, now: float = NOW) -> EtcdFiles:
        return ensure_etcd_certificates(folder, "demo", {"control-1": ["192.0.2.1"], "control-2": ["etcd.example"]}, now)

    def test_they_are_made_once_and_anew_near_their_end(self, tmp_path: Path) -> None:
        paths = [self.made(tmp_path).ca, self.made(tmp_path).client, self.made(tmp_path).of("control-1")]
        before = [path.read_bytes() for path in paths]
        self.made(tmp_path)
        assert [path.read_bytes() for path in paths] == before
        self.made(tmp_path, NOW + 360 * DAY)
        after = [path.read_bytes() for path in paths]
        assert after[0] == before[0]
        assert after[1:] != before[1:]
        assert {mode(path.with_suffix(".key")) for path in paths} == {0o600}

    def test_a_member_serves_under_its_names_and_calls_the_others(self, tmp_path: Path) -> None:
        files = self.made(tmp_path)
        store = Store([x509.load_pem_x509_certificate(files.ca.read_bytes())])
        member, client = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (files.of("control-2"), files.client))
        when = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        for name in ("control-2", "etcd.example", "localhost"):
            PolicyBuilder().store(store).time(when).build_server_verifier(x509.DNSName(name)).verify(member, [])
        uses = [made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value for made in (member, client)]
        assert [set(use) for use in uses] == [
            {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH},
            {ExtendedKeyUsageOID.CLIENT_AUTH},
        ]

    def test_a_client_is_no_member_by_its_name(self, tmp_path: Path) -> None:
        files = self.made(tmp_path)
        subjects = [
            x509.load_pem_x509_certificate(path.read_bytes()).subject.rfc4514_string()
            for path in (files.of("control-1"), files.of("control-2"), files.client)
        ]
        assert subjects == [f"CN={member_subject('demo')}", f"CN={member_subject('demo')}", "CN=client.etcd.demo"]
