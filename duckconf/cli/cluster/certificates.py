"""The API's certificate: made by a CA of the cluster's own, or the files that the inventory names.

The CA's key never leaves the operator's machine. The certificate is made again, by the same CA, when its names change
or its end is near, so that nobody has to be told of a new CA.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from duckconf.cli.cluster.api import CA_FILE
from duckconf.control_plane import Tls
from duckconf.errors import SetupError
from duckconf.reach.state.files import write_durably

CA_DAYS = 3650
# What clients accept at most, and when it is made anew.
CERTIFICATE_DAYS = 397
RENEW_DAYS = 60
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class CertificateFiles:
    """On the operator's machine; `ca` is None when the certificate is from a CA that everybody knows."""

    certificate: Path
    key: Path
    ca: Path | None
    own: bool


@dataclass(frozen=True)
class Authority:
    """A CA of the cluster's, with what it signs with."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure_certificate(root: Path, state: Path, tls: Tls, cluster: str, names: Iterable[str], now: float) -> CertificateFiles:
    """The files to serve with; raises SetupError when those that the inventory names are not there."""
    ca_file = state / CA_FILE
    ca_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if tls.certificate:
        return _named(root, tls, ca_file)
    ca = ensure_ca(ca_file, cluster, now)
    certificate, key = ca_file.with_name("api.pem"), ca_file.with_name("api.key")
    ensure_signed(ca, certificate, f"api.{cluster}", {*LOOPBACK, *names}, (ExtendedKeyUsageOID.SERVER_AUTH,), now)
    return CertificateFiles(certificate, key, ca_file, own=True)


def ensure_signed(
    ca: Authority, path: Path, subject: str, names: Iterable[str], uses: Sequence[x509.ObjectIdentifier], now: float
) -> None:
    """A certificate of the CA's at `path`, and its key beside it as `.key`: made unless it is there and will serve.

    `names` are those that a server is called by; a client has none."""
    wanted, key = {_general_name(name) for name in names}, path.with_suffix(".key")
    if _serves(path, key, wanted, ca.certificate, now):
        return
    own_key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _begin(subject, ca.certificate.subject, own_key.public_key(), CERTIFICATE_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False)
    )
    if wanted:
        ordered = sorted(wanted, key=lambda item: str(item.value))
        made = made.add_extension(x509.SubjectAlternativeName(ordered), critical=False)
    write_durably(key, _pem(own_key))
    write_durably(path, made.sign(ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _named(root: Path, tls: Tls, ca_file: Path) -> CertificateFiles:
    certificate, key = root / tls.certificate, root / tls.key
    ca = root / tls.ca if tls.ca else None
    for path in (certificate, key, *([ca] if ca else [])):
        if not path.is_file():
            raise SetupError(f"the inventory names {path} for the API's TLS, and there is no such file")
    # Where the tasks look for it.
    if ca is None:
        ca_file.unlink(missing_ok=True)
    else:
        write_durably(ca_file, ca.read_bytes())
    return CertificateFiles(certificate, key, ca, own=False)


def ensure_ca(path: Path, cluster: str, now: float) -> Authority:
    """The CA whose certificate is at `path`, and its key beside it; made when one of them is not there."""
    key_file = path.with_name("ca.key")
    if not (path.exists() and key_file.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Duckconf CA of {cluster}")])
        usage = x509.KeyUsage(
            key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = (
            _begin(f"Duckconf CA of {cluster}", name, key.public_key(), CA_DAYS, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_durably(key_file, _pem(key))
        write_durably(path, made.public_bytes(serialization.Encoding.PEM))
    loaded = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise SetupError(f"{key_file} is not the key that was made for this cluster", f"remove {path.parent} to create a new CA")
    return Authority(x509.load_pem_x509_certificate(path.read_bytes()), loaded)


def _serves(certificate: Path, key: Path, wanted: set[x509.GeneralName], ca: x509.Certificate, now: float) -> bool:
    if not (certificate.exists() and key.exists()):
        return False
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        names = set(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = set()
    left = made.not_valid_after_utc - _when(now)
    return made.issuer == ca.subject and names == wanted and left > datetime.timedelta(days=RENEW_DAYS)


def _begin(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int, now: float) -> x509.CertificateBuilder:
    """Valid from an hour ago, for hosts whose clock is behind."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_when(now) - datetime.timedelta(hours=1))
        .not_valid_after(_when(now) + datetime.timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _when(now: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now, datetime.UTC)
