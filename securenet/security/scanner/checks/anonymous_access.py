"""Data stores that serve anybody who connects: Redis, Valkey, memcached."""

from __future__ import annotations

from ..issue import Issue, Severity
from ..observation import AnonymousAccess, Observation
from .base import Check, Verdict, register

_SEVERITY = {"redis": Severity.CRITICAL, "memcached": Severity.HIGH}
_ADVICE = {
    "redis": "Set a password (requirepass, or ACLs with the default user off), and bind the server to the "
    "addresses its clients use; keep protected-mode on.",
    "memcached": "Bind memcached to the addresses its clients use and close its port to all others; where it "
    "must be reachable, start it with authentication (-S or -Y) and TLS.",
}
_CVSS = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@register
class AnonymousDataStore(Check):
    check_id = "anonymous-access"
    services = frozenset(_ADVICE)

    def judge(self, observation: Observation) -> Verdict:
        access = observation.detail(AnonymousAccess)
        if access is None:
            return None
        if not access.is_granted:
            return ()
        name = observation.product or observation.service
        # On loopback only the machine's own programs get there.
        is_local = observation.address.is_loopback
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"{name} answers without authentication",
                severity=Severity.MEDIUM if is_local else _SEVERITY[observation.service],
                description=f"The server carried out {access.command} for a client that had not signed in. "
                "Whoever reaches this port can read and change its data; a Redis can often be made to run "
                "programs as well.",
                advice=_ADVICE[observation.service],
                evidence={"command": access.command, "reply": access.reply},
                component=observation.service,
                cvss="" if is_local else _CVSS,
            ),
        )
