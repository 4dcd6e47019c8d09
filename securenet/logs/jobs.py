"""The job type ``log_analysis``: stored events through the detectors, detections into findings.

An analysis is one transaction at its end: it is recorded, and its findings and notifications are there, or none is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from perf.caching import invalidate
from perf.jobs import RunningJob, job_type
from securenet.accounts.roles import ANALYSTS
from securenet.logs.analysis import AnalysisReport, analyse
from securenet.logs.detectors import Detection, Severity
from securenet.logs.ingest import event_of
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.parsers import Event
from securenet.logs.serializers import AnalysisParams
from securenet.notifications.notify import notify
from securenet.security.findings import record_finding
from securenet.security.models import Finding

LOG_ANALYSIS = "log_analysis"
WINDOW = timedelta(hours=24)
TAGS = ("findings", "dashboard")
CONFIDENCE = 90
ROWS_AT_A_TIME = 2000

ADVICE = {
    "brute_force": "Block the source at the firewall, allow only keys for SSH, look for a login from it that succeeded.",
    "password_spray": "Block the source, and make sure that the accounts it tried have strong passwords or keys.",
    "login_after_failures": "Treat the account as taken over: end its sessions, change its password, see what it did.",
    "path_scan": "Block the source, and make sure that none of the paths it asked for exists.",
    "error_burst": "Look at the service's own log for what it stumbles over.",
}


@job_type(LOG_ANALYSIS, params=AnalysisParams)
def log_analysis(job: RunningJob, params: dict[str, Any]) -> dict[str, Any] | None:
    """Analyse, and tell how much was found."""
    started = timezone.now()
    since = _since(params, started)
    source = params.get("source", "")
    report = analyse(_events(job, _rows(since, source)))
    with job.transaction():
        new = sum(_record(detection) for detection in report.detections)
        run = AnalysisRun.objects.create(
            job=job.job,
            since=since,
            source=source,
            started_at=started,
            finished_at=timezone.now(),
            events=report.events,
            detections=len(report.detections),
            findings_new=new,
        )
        invalidate(tags=TAGS)
        job.complete(_result(run, report))
    return None


def _since(params: dict[str, Any], now: datetime) -> datetime:
    given = parse_datetime(params["since"]) if "since" in params else None
    return given or now - WINDOW


def _rows(since: datetime, source: str) -> QuerySet[LogEvent]:
    """Events by when they arrived, so that an old log that was just taken in is looked at as well."""
    rows = LogEvent.objects.filter(received_at__gte=since)
    if source:
        rows = rows.filter(source=source)
    return rows.order_by("time", "id")


def _events(job: RunningJob, rows: QuerySet[LogEvent]) -> Iterator[Event]:
    total = rows.count()
    for number, row in enumerate(rows.iterator(chunk_size=ROWS_AT_A_TIME)):
        if number % ROWS_AT_A_TIME == 0:
            job.progress(number / total if total else 1.0, f"{number} of {total} events")
        yield event_of(row)


def _record(detection: Detection) -> bool:
    finding, is_new = record_finding(
        fingerprint=detection.fingerprint,
        source=Finding.Source.LOGS,
        check_id=f"logs.{detection.detector}",
        title=detection.title,
        description=detection.description,
        advice=ADVICE.get(detection.detector, ""),
        severity=str(detection.severity),
        confidence=CONFIDENCE,
        evidence={**detection.evidence, "count": detection.count, "episodes": detection.episodes},
        seen_at=detection.last_seen,
        subject=detection.subject,
        first_seen=detection.first_seen,
    )
    if is_new and detection.severity in (Severity.HIGH, Severity.CRITICAL):
        notify(
            roles=ANALYSTS,
            title=finding.title,
            body=finding.description,
            severity=finding.severity,
            link=f"/api/security/findings/{finding.pk}",
            key=f"finding:{finding.pk}",
        )
    return is_new


def _result(run: AnalysisRun, report: AnalysisReport) -> dict[str, Any]:
    return {
        "events": run.events,
        "detections": run.detections,
        "findings_new": run.findings_new,
        "by_kind": dict(report.by_kind),
        "late": report.late,
        "dropped_detections": report.dropped_detections,
        "top_sources": [{"source": source, "events": events} for source, events in report.by_source[:10]],
    }
