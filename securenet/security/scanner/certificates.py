"""Reads an X.509 certificate that a stranger sent into the facts that checks judge."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from .banners import field
from .observation import Certificate

_MAX_NAMES = 100


def read_certificate(der: bytes) -> Certificate:
    """The facts of a DER certificate. Raises ValueError if it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key_type, key_bits = _key(certificate)
        return Certificate(
            subject=field(certificate.subject.rfc4514_string()),
            issuer=field(certificate.issuer.rfc4514_string()),
            serial=f"{certificate.serial_number:x}",
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            is_self_signed=_is_self_signed(certificate),
            names=_names(certificate),
            key_type=key_type,
            key_bits=key_bits,
        )
    except (x509.InvalidVersion, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether the certificate's own key signed it; equal names alone prove nothing."""
    if certificate.issuer != certificate.subject:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    return tuple(field(str(name)) for name in [*dns, *addresses][:_MAX_NAMES])


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            return "RSA", bits
        case dsa.DSAPublicKey(key_size=bits):
            return "DSA", bits
        case ec.EllipticCurvePublicKey(curve=curve):
            return f"EC {curve.name}", curve.key_size
        case other:
            return type(other).__name__.removesuffix("PublicKey").lstrip("_"), None
