"""SSH protocol 1, told by the version in the greeting: 1.99 stands for "both 1 and 2" (RFC 4253, section 5.1)."""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import Observation
from .base import Check, Verdict, register


@register
class SshProtocol1(Check):
    check_id = "ssh-protocol-1"
    services = frozenset({"ssh"})

    def judge(self, observation: Observation) -> Verdict:
        if not observation.banner.startswith("SSH-"):
            return None  # known from elsewhere than its own greeting
        if not observation.banner.startswith("SSH-1."):
            return ()
        is_optional = observation.banner.startswith("SSH-1.99-")
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title="SSH protocol 1 is " + ("allowed beside protocol 2" if is_optional else "all that is spoken"),
                severity=Severity.MEDIUM if is_optional else Severity.HIGH,
                description="Protocol 1 protects what is sent by a CRC-32 only: who is on the way can read and change "
                "sessions.",
                advice="Allow protocol 2 only (Protocol 2 in the sshd_config of old servers), or replace the server.",
                evidence={"banner": observation.banner},
                confidence=90,
                component="protocol-1",
                cvss="CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N"
                if is_optional
                else "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N",
            ),
        )
