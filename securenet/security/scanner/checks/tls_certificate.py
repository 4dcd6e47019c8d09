"""Certificates that are expired, not valid yet, about to expire, or signed by nobody but themselves."""

from __future__ import annotations

from datetime import timedelta

from ..issue import Issue, Severity
from ..observation import Certificate, Observation, TlsHandshake
from .base import Check, Verdict, register

SOON = timedelta(days=30)
_RENEW = "Renew the certificate, and automate it (ACME, or your own authority with reminders)."


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
        return (*self._dates(observation, certificate), *self._signature(observation, certificate))

    def _dates(self, observation: Observation, certificate: Certificate) -> tuple[Issue, ...]:
        ends, begins, now = certificate.not_after, certificate.not_before, observation.seen_at
        if now > ends:
            return (
                self._issue(
                    observation,
                    certificate,
                    "expired",
                    "expired",
                    Severity.HIGH,
                    _RENEW,
                    f"The certificate ended on {ends:%Y-%m-%d}. Clients refuse the service, or have learnt "
                    "to click warnings away.",
                ),
            )
        if now < begins:
            return (
                self._issue(
                    observation,
                    certificate,
                    "not-yet-valid",
                    "not valid yet",
                    Severity.MEDIUM,
                    "Check the server's clock and that the right certificate is installed.",
                    f"The certificate begins on {begins:%Y-%m-%d}; until then clients refuse the service.",
                ),
            )
        if ends - now < SOON:
            return (
                self._issue(
                    observation,
                    certificate,
                    "expiring",
                    "about to expire",
                    Severity.LOW,
                    _RENEW,
                    f"The certificate ends on {ends:%Y-%m-%d}, in {(ends - now).days} days.",
                ),
            )
        return ()

    def _signature(self, observation: Observation, certificate: Certificate) -> tuple[Issue, ...]:
        if not certificate.is_self_signed:
            return ()
        return (
            self._issue(
                observation,
                certificate,
                "self-signed",
                "self-signed",
                Severity.MEDIUM,
                "Have the certificate signed by an authority that your clients know, your own or a public "
                "one.",
                "No authority vouches for the certificate, so clients cannot tell this server from an "
                "impostor, "
                "unless each was given the certificate beforehand.",
            ),
        )

    def _issue(
        self,
        observation: Observation,
        certificate: Certificate,
        component: str,
        what: str,
        severity: Severity,
        advice: str,
        description: str,
    ) -> Issue:
        return Issue(
            check_id=self.check_id,
            port=observation.port,
            title=f"TLS certificate is {what}",
            severity=severity,
            description=description,
            advice=advice,
            evidence={
                "subject": certificate.subject,
                "issuer": certificate.issuer,
                "serial": certificate.serial,
                "sha256": certificate.sha256,
                "not_before": certificate.not_before.isoformat(),
                "not_after": certificate.not_after.isoformat(),
            },
            component=component,
        )
