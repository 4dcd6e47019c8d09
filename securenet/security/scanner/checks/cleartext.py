"""Protocols that carry passwords in clear: telnet always, FTP unless the client asks for TLS."""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import Observation, TlsHandshake, TlsUpgrade
from .base import Check, Verdict, register


@register
class CleartextProtocol(Check):
    check_id = "cleartext-protocol"
    services = frozenset({"telnet", "ftp"})

    def judge(self, observation: Observation) -> Verdict:
        if observation.detail(TlsHandshake):
            return ()
        upgrade = observation.detail(TlsUpgrade)
        is_telnet = observation.service == "telnet"
        if upgrade and upgrade.is_offered:
            severity, remark = Severity.LOW, " The server offers TLS, but lets clients do without."
        else:
            severity, remark = (Severity.HIGH if is_telnet else Severity.MEDIUM), ""
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"{observation.service.upper() if not is_telnet else 'Telnet'} sends passwords "
                "unencrypted",
                severity=severity,
                description="User names, passwords and data cross the network in clear, for everybody on the "
                "way to read "
                f"and change.{remark}",
                advice="Use SSH instead of telnet."
                if is_telnet
                else "Use SFTP, or make TLS compulsory for log-in and data.",
                evidence={"banner": observation.banner},
                confidence=95,
                component=observation.service,
            ),
        )
