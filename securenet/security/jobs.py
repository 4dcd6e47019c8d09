"""The job type ``security_scan``: looks at authorised hosts, and writes what it finds host by host.

What is gone is resolved at the very end, together with the job's completion. Authorisation is checked when a scan is
asked for, again when it runs, and again while it runs: a scan may wait for hours, and a target that is disabled stops
the scans that use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from perf.caching import invalidate
from perf.jobs import JobFailed, RunningJob, job_type
from securenet.security.findings import reopen_accepted
from securenet.security.models import Scan, ScanHost
from securenet.security.scan_checks import checks_now
from securenet.security.scan_params import ScanParams
from securenet.security.scan_results import conclude, store_results
from securenet.security.scanner import (
    HostResult,
    PinnedAddress,
    PortSet,
    ScanPlan,
    TargetRefused,
    run_scan,
)
from securenet.security.scopes import authorised_hosts, current_scopes, problem_of, refuse_withdrawn
from securenet.security.signals import SECURITY_SCAN
from securenet.vulnerabilities.knowledge import data_age

TAGS = ("findings", "assets", "scans")
_COUNTS = ("hosts_total", "hosts_up", "open_ports", "findings_new", "findings_resolved")


def check_targets(user: Any, params: dict[str, Any]) -> None:
    """At submission: raise a problem unless all targets may be scanned now."""
    try:
        authorised_hosts(params["targets"], params["ports"])
    except TargetRefused as refused:
        raise problem_of(refused, params["targets"]) from refused


@job_type(SECURITY_SCAN, params=ScanParams, queue="high", authorise=check_targets)
def security_scan(job: RunningJob, params: dict[str, Any]) -> None:
    """Scan, store each host as it is finished, and tell how much was found."""
    try:
        hosts = authorised_hosts(params["targets"], params["ports"])
        scan = _begin(job, hosts)
        try:
            for results in _by_address(_scan(job, hosts, params["ports"])):
                with job.transaction():
                    store_results(scan, results, seen_at=job.job.started_at)
        finally:
            # Before the job ends: whoever sees it completed sees what it found.
            invalidate(tags=TAGS)
    except TargetRefused as refused:
        raise JobFailed(str(refused)) from refused
    _complete(job, scan)


def _begin(job: RunningJob, hosts: Sequence[PinnedAddress]) -> Scan:
    """The row of this scan. What an earlier attempt made new stays counted; the hosts are counted afresh."""
    reopen_accepted()
    with job.transaction():
        scan = Scan.objects.select_for_update().get(job=job.job)
        scan.hosts_total = len({host.address for host in hosts})
        scan.hosts_up = scan.open_ports = 0
        scan.save(update_fields=["hosts_total", "hosts_up", "open_ports"])
        ScanHost.objects.filter(scan=scan).delete()
    return scan


def _complete(job: RunningJob, scan: Scan) -> None:
    """Resolve what is gone and end the job, both or neither: a scan that was cancelled resolves nothing."""
    with job.transaction():
        conclude(scan, seen_at=job.job.started_at)
        scan.refresh_from_db()
        job.complete({**{name: getattr(scan, name) for name in _COUNTS}, "vulnerability_data": _data_used(job)})
        invalidate(tags=TAGS)


def _data_used(job: RunningJob) -> list[dict[str, Any]]:
    """The vulnerability data that versions were judged by, and how old they were when the scan began."""
    used = data_age(job.job.started_at)
    return [
        {**feed, "published_at": feed["published_at"].isoformat(), "imported_at": feed["imported_at"].isoformat()}
        for feed in used
    ]


def _scan(job: RunningJob, hosts: Sequence[PinnedAddress], ports: str) -> Iterator[HostResult]:
    """The results, with the names of one address side by side; authorisation is looked at between hosts."""
    ordered = sorted(hosts, key=lambda host: (host.address.version, host.address))
    scopes = current_scopes()

    def on_progress(done: int, total: int, message: str) -> None:
        job.progress(done / total if total else 1.0, message)

    plan = ScanPlan(tuple(ordered), PortSet.parse(ports), checks=checks_now())
    for result in run_scan(plan, on_progress):
        yield result
        now = current_scopes()
        if now != scopes:
            refuse_withdrawn(ordered, ports, now)
            scopes = now


def _by_address(results: Iterator[HostResult]) -> Iterator[list[HostResult]]:
    for _, group in groupby(results, key=lambda result: result.address):
        yield list(group)
