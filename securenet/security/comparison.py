"""Two scans side by side: which findings are new, gone and unchanged, which services opened and closed.

Gone is only what the later scan looked for and did not see. What the earlier one saw and the later one had no chance
to see (the host did not answer, the port was not tried) is unchecked.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from perf.models import Job
from securenet.security.models import Finding, Scan, ScanHost
from securenet.security.scanner import PortSet

# Of each kind; the counts tell of all.
MOST_LISTED: Final = 1000
_ROWS_AT_A_TIME: Final = 500
# What a list shows of a finding needs none of them, and they are most of a row.
_LONG: Final = ("description", "advice", "evidence", "triage_note")

Service = tuple[str, int]


class NotComparable(Exception):
    """A scan that has not been completed, or was made before scans kept what they saw."""


@dataclass(frozen=True, slots=True)
class Sights:
    """What a scan saw. seen, gone: ids of findings; services: (address, port); addresses: those that answered."""

    seen: frozenset[int] = frozenset()
    gone: frozenset[int] = frozenset()
    services: frozenset[Service] = frozenset()
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ids of findings, and open ports as (address, port). closed: those that were tried again and are open no more."""

    new: frozenset[int]
    gone: frozenset[int]
    unchanged: frozenset[int]
    unchecked: frozenset[int]
    opened: frozenset[Service]
    closed: frozenset[Service]


def compared(now: Sights, before: Sights, ports: PortSet) -> Comparison:
    """What is different ``now``; ``ports`` are those that were tried now."""
    missed = before.seen - now.seen
    return Comparison(
        new=now.seen - before.seen,
        gone=missed & now.gone,
        unchanged=now.seen & before.seen,
        unchecked=missed - now.gone,
        opened=now.services - before.services,
        closed=frozenset(
            (address, port)
            for address, port in before.services - now.services
            if address in now.addresses and port in ports
        ),
    )


def compare(scan: Scan, earlier: Scan | None) -> Comparison:
    """Compare a completed scan with an earlier one; without one, everything is new.

    Raises:
        NotComparable: the message says which and why.
    """
    return compared(sights_of(scan), sights_of(earlier) if earlier else Sights(), PortSet.parse(scan.ports))


def previous_scan(scan: Any) -> Scan | None:
    """The last scan of the same targets before this one that was completed and kept what it saw."""
    if scan.started_at is None:
        return None
    kept = Q(hosts_up=0) | Exists(ScanHost.objects.filter(scan=OuterRef("pk")))
    completed = Scan.objects.with_state().filter(state=Job.Status.COMPLETED, started_at__lt=scan.started_at)
    found: Scan | None = completed.filter(kept, targets=scan.targets).order_by("-started_at").first()
    return found


def sights_of(scan: Any) -> Sights:
    """What a scan saw; ``scan`` comes from ``Scan.objects.with_state()``. Raises NotComparable as `compare`."""
    if scan.state != Job.Status.COMPLETED:
        raise NotComparable(f"Scan {scan.pk} is {scan.state}; only completed scans can be compared.")
    seen: set[int] = set()
    gone: set[int] = set()
    services: set[Service] = set()
    addresses: set[str] = set()
    for host in ScanHost.objects.filter(scan_id=scan.pk).iterator(chunk_size=_ROWS_AT_A_TIME):
        seen.update(host.seen)
        gone.update(host.gone)
        services.update((host.address, port) for port in host.open_ports)
        addresses.add(host.address)
    if scan.hosts_up and not addresses:
        raise NotComparable(f"Scan {scan.pk} was made before scans kept what they saw; scan again to compare.")
    return Sights(frozenset(seen), frozenset(gone), frozenset(services), frozenset(addresses))


def report(scan: Scan, earlier: Scan | None, comparison: Comparison) -> dict[str, Any]:
    """What clients are shown: the counts of all, and lists of at most `MOST_LISTED`."""
    findings = {name: getattr(comparison, name) for name in ("new", "gone", "unchanged", "unchecked")}
    services = {name: getattr(comparison, name) for name in ("opened", "closed")}
    return {
        "scan": scan.pk,
        "compared_with": earlier.pk if earlier else None,
        "counts": {name: len(members) for name, members in (findings | services).items()},
        **{name: worst_findings(ids) for name, ids in findings.items()},
        **{
            name: [{"address": address, "port": port} for address, port in sorted(ports)[:MOST_LISTED]]
            for name, ports in services.items()
        },
    }


def worst_findings(ids: Collection[int], limit: int = MOST_LISTED) -> list[Finding]:
    """Of the findings with these ids at most ``limit``, the gravest first; without what is long in them."""
    ranks = ((-(rank or 0), pk) for pk, rank in _ranks(ids))
    chosen = [pk for _, pk in heapq.nsmallest(limit, ranks)]
    short: QuerySet[Finding] = Finding.objects.select_related("asset").defer(*_LONG)
    found = short.in_bulk(chosen)
    return [found[pk] for pk in chosen if pk in found]


def _ranks(ids: Collection[int]) -> Iterator[tuple[int, int | None]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _ROWS_AT_A_TIME):
        chunk = ordered[start : start + _ROWS_AT_A_TIME]
        yield from Finding.objects.filter(pk__in=chunk).order_by().values_list("pk", "severity_rank")
