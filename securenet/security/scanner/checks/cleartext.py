"""Protocols that carry passwords in clear: telnet always, FTP unless the client asks for TLS."""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import Observation, TlsHandshake, TlsUpgrade
from .base import Check, Verdict, register

_NAMES = {"telnet": "Telnet", "ftp": "FTP"}
_SEVERITY = {"telnet": Severity.HIGH, "ftp": Severity.MEDIUM}
_ADVICE = {
    "telnet": "Use SSH instead of telnet.",
    "ftp": "Use SFTP, or make TLS compulsory for log-in and data.",
}


@register
class CleartextProtocol(Check):
    check_id = "cleartext-protocol"
    services = frozenset(_NAMES)

    def judge(self, observation: Observation) -> Verdict:
        if observation.detail(TlsHandshake):
            return ()
        service = observation.service
        upgrade = observation.detail(TlsUpgrade)
        is_optional = upgrade is not None and upgrade.is_offered
        remark = " The server offers TLS, but lets clients do without." if is_optional else ""
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"{_NAMES[service]} sends passwords unencrypted",
                severity=Severity.LOW if is_optional else _SEVERITY[service],
                description="User names, passwords and data cross the network in clear, for everybody on the "
                f"way to read and change.{remark}",
                advice=_ADVICE[service],
                evidence={"banner": observation.banner},
                confidence=95,
                component=service,
            ),
        )
