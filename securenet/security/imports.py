"""Takes in the file of a scan that somebody made with nmap: it becomes a scan like any other, at the file's own time.

A file is taken in whole or not at all, and only once: the second time gives the scan that is there already. What has
been seen since the file was made stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from perf.caching import invalidate
from perf.models import Job
from securenet.network.models import Asset, Service
from securenet.security.findings import reopen_accepted
from securenet.security.models import Finding, Scan
from securenet.security.nmap import NmapFileTooLarge, NmapHost, NmapRefused, NmapRun, chunks, read_hosts, read_run
from securenet.security.nmap_results import host_result, ports_text, targets_in
from securenet.security.scan_checks import checks_now
from securenet.security.scan_params import MAX_TARGETS
from securenet.security.scan_results import PROTOCOL, conclude, store_results
from securenet.security.scanner import HostResult
from securenet.security.scanner.addresses import Address
from securenet.security.scanner.checks import Check

TAGS: Final = ("findings", "assets", "scans")


class NmapFileFromTheFuture(NmapRefused):
    """It claims to have been made at a time that is to come."""


@dataclass(frozen=True, slots=True)
class Imported:
    """scan: what the file became; is_new: False if it had been imported before; run: None then."""

    scan: Scan
    is_new: bool
    run: NmapRun | None = None


def import_nmap(stream: IO[bytes], user: Any = None, *, most: int | None = None) -> Imported:
    """Import a file that ``nmap -oX`` wrote.

    Args:
        stream: seekable; XML, not compressed.
        user: who imports it.
        most: hosts and open ports that there may be together, where somebody waits for the answer.

    Raises:
        NotAnNmapFile, NmapFileTooLarge: see `nmap.read_run`.
        NmapFileFromTheFuture: its time is to come.
    """
    digest = _digest(stream)
    if known := _imported_before(digest):
        return Imported(known, is_new=False)
    run = read_run(stream)
    if run.started_at > timezone.now():
        raise NmapFileFromTheFuture(
            f"The file claims to be of {run.started_at:%Y-%m-%d %H:%M} UTC, which is to come; set the clock of the "
            "machine that nmap ran on, or of this one, and scan again."
        )
    if most is not None and len(run.addresses) + run.open_ports > most:
        raise NmapFileTooLarge(
            f"The file has {len(run.addresses)} hosts and {run.open_ports} open ports, and at most {most} together are "
            "taken in at once; use manage.py import_nmap on the server, or scan fewer hosts at a time."
        )
    reopen_accepted()
    try:
        scan = _stored(stream, run, digest, user)
    except IntegrityError:
        # Somebody else imported the same file at the same time.
        if known := _imported_before(digest):
            return Imported(known, is_new=False)
        raise
    return Imported(scan, is_new=True, run=run)


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks(stream):
        digest.update(chunk)
    return digest.hexdigest()


def _imported_before(digest: str) -> Scan | None:
    known: Scan | None = Scan.objects.filter(imported_from=digest).first()
    return known


@transaction.atomic
def _stored(stream: IO[bytes], run: NmapRun, digest: str, user: Any) -> Scan:
    scan = Scan.objects.create(
        targets=_targets(run),
        ports=ports_text(run.scanned),
        started_by_id=getattr(user, "pk", None),  # a token's user is no row
        hosts_total=run.hosts_total,
        imported_from=digest,
        kept_state=Job.Status.COMPLETED,
        kept_started_at=run.started_at,
        kept_finished_at=min(run.finished_at, timezone.now()),
    )
    for results, reverse_name in _results(stream, run, checks_now()):
        store_results(scan, results, seen_at=run.started_at)
        if reverse_name:
            Asset.objects.filter(address=str(results[0].address), hostname="").update(hostname=reverse_name)
    conclude(scan, seen_at=run.started_at)
    scan.refresh_from_db()
    invalidate(tags=TAGS)
    return scan


def _targets(run: NmapRun) -> list[str]:
    """As nmap was asked; where that says nothing, what it found. At most as many as a scan may have."""
    named = targets_in(run.arguments) or tuple(str(address) for address in run.addresses)
    return list(named[:MAX_TARGETS])


def _results(stream: IO[bytes], run: NmapRun, checks: Sequence[Check]) -> Iterator[tuple[list[HostResult], str]]:
    """The results by address, and its name in the DNS. A host that is there under several names comes last."""
    repeated: dict[Address, list[HostResult]] = {}
    for host in read_hosts(stream):
        result = host_result(host, checks, _known_ports(host))
        if host.address in run.repeated:
            repeated.setdefault(host.address, []).append(result)
        else:
            yield [result], host.reverse_name
    for results in repeated.values():
        yield results, ""


def _known_ports(host: NmapHost) -> frozenset[int]:
    """Where services or findings are known, which the host may show to be closed."""
    if not host.closed:
        return frozenset()
    address = str(host.address)
    services = Service.objects.filter(asset__address=address, protocol=PROTOCOL).values_list("port", flat=True)
    findings = Finding.objects.filter(asset__address=address, source=Finding.Source.SCAN, port__isnull=False)
    return frozenset(services) | frozenset(findings.values_list("port", flat=True))
