"""TLS that is too old or keys that are too short (RFC 8996; NIST SP 800-131A).

The scanner offers every version it can speak, so the version agreed on is the newest that the server has.
That a server also accepts older ones is not assessed.
"""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import Observation, TlsHandshake
from .base import Check, Verdict, register

_OBSOLETE = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_LEAST_BITS = {"RSA": 2048, "DSA": 2048}
_LEAST_BITS_EC = 224


@register
class TlsStrength(Check):
    check_id = "tls-strength"

    def concerns(self, observation: Observation) -> bool:
        return observation.detail(TlsHandshake) is not None

    def judge(self, observation: Observation) -> Verdict:
        handshake = observation.detail(TlsHandshake)
        if handshake is None or handshake.certificate is None:
            return None
        return (*self._version(observation, handshake), *self._key(observation, handshake))

    def _version(self, observation: Observation, handshake: TlsHandshake) -> tuple[Issue, ...]:
        if handshake.version not in _OBSOLETE:
            return ()
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"TLS is outdated: nothing newer than {handshake.version}",
                severity=Severity.MEDIUM,
                description="These versions rest on broken hash functions and ciphers; browsers refuse them.",
                advice="Enable TLS 1.2 and 1.3 and switch older versions off.",
                evidence={"version": handshake.version, "cipher": handshake.cipher},
                component="version",
            ),
        )

    def _key(self, observation: Observation, handshake: TlsHandshake) -> tuple[Issue, ...]:
        certificate = handshake.certificate
        if certificate is None or certificate.key_bits is None:
            return ()
        least = _LEAST_BITS.get(certificate.key_type, _LEAST_BITS_EC)
        if certificate.key_bits >= least:
            return ()
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"TLS key is too short: {certificate.key_type} with {certificate.key_bits} bits",
                severity=Severity.MEDIUM,
                description="Keys of this length can be computed by well-equipped attackers.",
                advice="Make a new key (RSA with 3072 bits or EC P-256) and a certificate for it.",
                evidence={
                    "key": certificate.key_type,
                    "bits": certificate.key_bits,
                    "sha256": certificate.sha256,
                },
                component="key",
            ),
        )
