"""Certificates made on the spot, as good or bad as a test needs them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate(
    *,
    key: Key | None = None,
    begins: timedelta = timedelta(days=-10),
    ends: timedelta = timedelta(days=300),
    self_signed: bool = True,
) -> tuple[x509.Certificate, Key]:
    """A certificate for test.example; not self-signed means signed by an authority of another name and
    key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = _name("test.example")
    issuer, issuer_key = (name, key) if self_signed else (_name("Test Authority"), authority_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("test.example")]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()), key


@cache
def authority_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def server_context(folder: Path, made: tuple[x509.Certificate, Key]) -> ssl.SSLContext:
    """A TLS server's context with this certificate; weak keys are allowed."""
    issued, key = made
    path = folder / f"{issued.serial_number:x}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + issued.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.load_cert_chain(path)
    return context


def der(made: tuple[x509.Certificate, Key]) -> bytes:
    return made[0].public_bytes(serialization.Encoding.DER)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
