"""Every open port is worth knowing: what should not be there is seen first here."""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import Observation
from .base import Check, Verdict, register


@register
class OpenPort(Check):
    check_id = "open-port"

    def judge(self, observation: Observation) -> Verdict:
        service = " ".join(filter(None, (observation.product or observation.service, observation.version)))
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"Port {observation.port}/tcp is open" + (f": {service}" if service else ""),
                severity=Severity.INFO,
                description="A service accepts connections on this port from where the scanner runs.",
                advice="If the service is not needed from there, stop it or close the port in the firewall.",
                evidence={
                    "service": observation.service,
                    "product": observation.product,
                    "version": observation.version,
                    "banner": observation.banner,
                },
            ),
        )
