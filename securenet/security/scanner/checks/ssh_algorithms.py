"""Algorithms that an SSH server should not offer any more (RFC 9142 for key exchange, RFC 8758 for RC4; NIST
SP 800-131A for SHA-1 and 3DES)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..issue import Issue, Severity
from ..observation import Observation, SshAlgorithms
from .base import Check, Verdict, register


@dataclass(frozen=True, slots=True)
class _Kind:
    """broken: practical attacks are known; weak: no longer recommended; option: of sshd_config."""

    component: str
    what: str
    option: str
    offered: Callable[[SshAlgorithms], tuple[str, ...]]
    broken: re.Pattern[str]
    weak: re.Pattern[str]


def _host_keys(offer: SshAlgorithms) -> tuple[str, ...]:
    """RSA with SHA-1 counts only where there is nothing better: else clients choose the better one."""
    has_better = any(not re.match(r"ssh-(?:rsa|dss)\b", name) for name in offer.host_keys)
    return tuple(name for name in offer.host_keys if not (has_better and name.startswith("ssh-rsa")))


_KINDS = (
    _Kind(
        "key-exchange",
        "key exchange",
        "KexAlgorithms",
        lambda offer: offer.key_exchanges,
        re.compile(r"(?:diffie-hellman|gss)-group1-sha1.*|rsa1024-sha1"),
        re.compile(r"diffie-hellman-group(?:14|-exchange)-sha1|gss-(?:group14|gex)-sha1.*"),
    ),
    _Kind(
        "host-key",
        "host keys",
        "HostKeyAlgorithms",
        _host_keys,
        re.compile(r"ssh-dss.*"),
        re.compile(r"ssh-rsa.*"),
    ),
    _Kind(
        "cipher",
        "ciphers",
        "Ciphers",
        lambda offer: offer.ciphers,
        re.compile(r"arcfour.*|3des-.*|des-.*|none"),
        re.compile(r"blowfish-.*|cast128-.*|.*-cbc(?:@.*)?"),
    ),
    _Kind(
        "mac",
        "message authentication codes",
        "MACs",
        lambda offer: offer.macs,
        re.compile(r"hmac-md5.*|none"),
        re.compile(r"hmac-sha1-96.*|umac-64.*"),
    ),
)


@register
class SshWeakAlgorithms(Check):
    check_id = "ssh-weak-algorithms"
    services = frozenset({"ssh"})

    def judge(self, observation: Observation) -> Verdict:
        offer = observation.detail(SshAlgorithms)
        if offer is None:
            return None
        return tuple(issue for kind in _KINDS for issue in self._issues(observation, offer, kind))

    def _issues(self, observation: Observation, offer: SshAlgorithms, kind: _Kind) -> tuple[Issue, ...]:
        names = kind.offered(offer)
        broken = [name for name in names if kind.broken.fullmatch(name)]
        weak = [name for name in names if kind.weak.fullmatch(name) and name not in broken]
        if not broken and not weak:
            return ()
        listed = ", ".join((broken + weak)[:10])
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"SSH offers {'broken' if broken else 'weak'} {kind.what}",
                severity=Severity.MEDIUM if broken else Severity.LOW,
                description=f"Old clients, or ones that were configured badly, are protected by no more than {listed}.",
                advice=f"Take these out of {kind.option} in sshd_config, or the like: {listed}.",
                evidence={"broken": broken, "weak": weak},
                confidence=95,
                component=kind.component,
                cvss="CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N"
                if broken
                else "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N",
            ),
        )
