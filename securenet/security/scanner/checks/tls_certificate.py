"""Certificates that are expired, not valid yet, about to expire, or signed by nobody but themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..issue import Issue, Severity
from ..observation import Certificate, Observation, TlsHandshake
from .base import Check, Verdict, register

SOON = timedelta(days=30)
_RENEW = "Renew the certificate, and automate it (ACME, or your own authority with reminders)."


@dataclass(frozen=True, slots=True)
class _Flaw:
    component: str
    title: str
    severity: Severity
    description: str
    advice: str


@register
class TlsCertificate(Check):
    check_id = "tls-certificate"

    def concerns(self, observation: Observation) -> bool:
        return observation.detail(TlsHandshake) is not None

    def judge(self, observation: Observation) -> Verdict:
        handshake = observation.detail(TlsHandshake)
        if handshake is None or handshake.certificate is None:
            return None
        certificate = handshake.certificate
        return tuple(
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"TLS certificate is {flaw.title}",
                severity=flaw.severity,
                description=flaw.description,
                advice=flaw.advice,
                evidence=_evidence(certificate),
                component=flaw.component,
            )
            for flaw in _flaws(certificate, observation.seen_at)
        )


def _flaws(certificate: Certificate, now: datetime) -> Iterator[_Flaw]:
    ends, begins = certificate.not_after, certificate.not_before
    if now > ends:
        yield _Flaw(
            "expired",
            "expired",
            Severity.HIGH,
            f"The certificate ended on {ends:%Y-%m-%d}. Clients refuse the service, or have learnt to ignore warnings.",
            _RENEW,
        )
    elif now < begins:
        yield _Flaw(
            "not-yet-valid",
            "not valid yet",
            Severity.MEDIUM,
            f"The certificate begins on {begins:%Y-%m-%d}; until then clients refuse the service.",
            "Check the server's clock and that the right certificate is installed.",
        )
    elif ends - now < SOON:
        yield _Flaw(
            "expiring",
            "about to expire",
            Severity.LOW,
            f"The certificate ends on {ends:%Y-%m-%d}, in {(ends - now).days} days.",
            _RENEW,
        )
    if certificate.is_self_signed:
        yield _Flaw(
            "self-signed",
            "self-signed",
            Severity.MEDIUM,
            "No authority vouches for the certificate, so clients cannot tell this server from an impostor, "
            "unless each was given the certificate beforehand.",
            "Have the certificate signed by an authority that your clients know, your own or a public one.",
        )


def _evidence(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "sha256": certificate.sha256,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
    }
