"""Writes what a scan found out about one address: the asset, its services, its findings, and who is told.

One call is one transaction's worth, and doing it again for the same scan changes nothing. What is gone is only noted
here; `conclude` resolves it once the whole scan is through, so that a scan that is cut short resolves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F
from django.urls import reverse

from securenet.accounts.roles import ANALYSTS
from securenet.network.inventory import OpenPort, record_host
from securenet.network.models import Asset
from securenet.notifications.notify import notify
from securenet.security.findings import NOTIFIED, record_finding, resolve
from securenet.security.models import SEVERITY_RANKS, Finding, Scan, ScanHost
from securenet.security.scanner import HostResult, PortResult, PortState

PROTOCOL: Final = "tcp"
# A host on which more is open is a tarpit or a proxy; its ports would only fill the database.
MAX_SERVICES: Final = 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """What one address added to its scan."""

    hosts_up: int = 0
    open_ports: int = 0
    findings_new: int = 0


def store_results(scan: Scan, results: Sequence[HostResult], seen_at: datetime) -> Stored:
    """Store the results of one address, which may have been scanned under several names.

    Args:
        scan: the scan; its counts rise.
        results: one per name, all of the same address.
        seen_at: the time of the scan, aware; the same each time it is repeated.
    """
    stored = Stored()
    reached = [result for result in results if result.is_reachable]
    if reached:
        asset = _record_asset(reached, seen_at)
        seen, new = _record_findings(asset, reached, seen_at)
        _notify_of(asset, new, scan)
        open_ports = sorted({port.port for result in reached for port in result.open_ports})
        ScanHost.objects.update_or_create(
            scan=scan,
            address=asset.address,
            defaults={
                "open_ports": open_ports[:MAX_SERVICES],
                "seen": sorted(seen),
                "gone": _gone(asset, reached, seen, seen_at),
            },
        )
        stored = Stored(hosts_up=1, open_ports=len(open_ports), findings_new=len(new))
    Scan.objects.filter(pk=scan.pk).update(
        hosts_up=F("hosts_up") + stored.hosts_up,
        open_ports=F("open_ports") + stored.open_ports,
        findings_new=F("findings_new") + stored.findings_new,
    )
    return stored


def conclude(scan: Scan, seen_at: datetime) -> int:
    """Resolve what the scan looked for and did not see; to be called in the transaction that completes it.

    Args:
        scan: the scan; its count of resolved findings is set.
        seen_at: as for `store_results`.
    """
    hosts = ScanHost.objects.filter(scan=scan).values_list("gone", flat=True)
    resolved = sum(resolve(gone, seen_at) for gone in hosts.iterator(chunk_size=500) if gone)
    Scan.objects.filter(pk=scan.pk).update(findings_resolved=resolved)
    return resolved


def _record_asset(results: Sequence[HostResult], seen_at: datetime) -> Asset:
    ports: dict[int, PortResult] = {}
    closed: set[int] = set()
    for result in results:
        # Of several looks at one port, the one that recognised something counts.
        for port in result.open_ports[:MAX_SERVICES]:
            if port.port not in ports or port.service:
                ports[port.port] = port
        closed.update(port.port for port in result.ports if port.state is PortState.CLOSED)
    return record_host(
        str(results[0].address),
        seen_at=seen_at,
        hostname=next((result.hostname for result in results if result.hostname), ""),
        open_ports=[
            OpenPort(port.port, PROTOCOL, port.service, port.product, port.version, port.banner)
            for port in ports.values()
        ],
        closed_ports=closed - ports.keys(),
    )


def _record_findings(asset: Asset, results: Sequence[HostResult], seen_at: datetime) -> tuple[set[int], list[Finding]]:
    """The ids of the findings seen, and those that are new or open again."""
    seen: set[int] = set()
    new: list[Finding] = []
    for result in results:
        for issue in result.issues:
            finding, is_new = record_finding(
                fingerprint=issue.fingerprint(asset.address),
                source=Finding.Source.SCAN,
                check_id=issue.check_id,
                title=issue.title,
                description=issue.description,
                advice=issue.advice,
                severity=issue.severity.value,
                confidence=issue.confidence,
                evidence=issue.evidence,
                seen_at=seen_at,
                asset=asset,
                subject=_called(result),
                port=issue.port,
                protocol=PROTOCOL,
                cvss_vector=issue.cvss,
                cvss_score=issue.base_score,
            )
            seen.add(finding.pk)
            if is_new:
                new.append(finding)
    return seen, new


def _gone(asset: Asset, results: Sequence[HostResult], seen: Iterable[int], seen_at: datetime) -> list[int]:
    """This asset's findings, in whatever state, that the scan looked for, under the same name, and did not see."""
    known = Finding.objects.filter(asset=asset, source=Finding.Source.SCAN, last_seen__lt=seen_at)
    return sorted(
        finding.pk
        for finding in known.exclude(pk__in=seen).only("check_id", "port", "subject")
        if finding.port is not None and any(_shows_gone(result, finding) for result in results)
    )


def _shows_gone(result: HostResult, finding: Finding) -> bool:
    """A web server may serve another site under another name; but a closed port is closed for all."""
    if not result.settles(finding.check_id, finding.port or 0):
        return False
    return _called(result) == finding.subject or all(port.port != finding.port for port in result.open_ports)


def _called(result: HostResult) -> str:
    return result.hostname or str(result.address)


def _notify_of(asset: Asset, new: Sequence[Finding], scan: Scan) -> None:
    """One notification per address, however much is wrong there."""
    serious = sorted(
        (finding for finding in new if finding.severity in NOTIFIED),
        key=lambda finding: SEVERITY_RANKS[finding.severity],
        reverse=True,
    )
    if not serious:
        return
    worst, *others = serious
    more = f" and {len(others)} more" if others else ""
    notify(
        roles=ANALYSTS,
        title=f"{worst.title} on {asset}{more}"[:200],
        body="\n".join(f"{finding.get_severity_display()}: {finding.title}" for finding in serious[:20]),
        severity=worst.severity,
        link=reverse("security:finding", args=[worst.pk]),
        key=f"scan:{scan.pk}:{asset.pk}",
    )
