"""The job type ``log_analysis``: stored events through the detectors, detections into findings.

An analysis is one transaction at its end: it is recorded, and its findings and notifications are there, or none is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from perf.caching import invalidate
from perf.jobs import RunningJob, job_type
from securenet.accounts.roles import ANALYSTS
from securenet.logs.analysis import AnalysisReport, analyse
from securenet.logs.detector_settings import configuration_now
from securenet.logs.detectors import PRIVILEGED_USERS, Detection, PastLogins, Severity, configured_detectors
from securenet.logs.evidence import lines_of
from securenet.logs.followed import take_in_followed_files
from securenet.logs.growth import grown
from securenet.logs.ingest import event_of
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.parsers import Kind
from securenet.logs.serializers import AnalysisParams
from securenet.logs.settling import Arrival, Settled
from securenet.notifications.notify import Message, notify_of
from securenet.security.findings import record_finding
from securenet.security.models import Finding

LOG_ANALYSIS = "log_analysis"
WINDOW = timedelta(hours=24)
TAGS = ("findings", "dashboard")
CONFIDENCE = 90
ROWS_AT_A_TIME = 2000
MOST_PAST_LOGINS = 20_000
# New findings that are told one by one, the gravest first; the others are told as a number.
MOST_NOTIFICATIONS = 20
SERIOUS = frozenset({Severity.HIGH, Severity.CRITICAL})

ADVICE = {
    "brute_force": "Block the source, allow only keys for SSH, look for a login from it that succeeded.",
    "password_spray": "Block the source, and make sure that the accounts it tried have strong passwords or keys.",
    "low_and_slow": "Block the source for days, not minutes; allow only keys for SSH.",
    "distributed_guessing": "Allow only keys for the account, or require a second factor; rename a default one.",
    "user_enumeration": "Block the source; answer unknown and known users alike, and equally fast.",
    "break_in_attempt": "Look at what else the source did; by itself this is careless DNS. UseDNS no silences it.",
    "new_source_for_privileged_user": "Ask the owner. If it was not them: end the session, change password and keys.",
    "request_burst": "Limit the rate of the source, or block it, unless it is a gateway or a crawler you want.",
    "login_after_failures": "Treat the account as taken over: end its sessions, change its password, see what it did.",
    "path_scan": "Block the source, and make sure that none of the paths it asked for exists.",
    "privilege_denied": "Ask the user, and look at what the account did; take away rights that nobody needs.",
    "rate_anomaly": "Look at what else happened at that time; if the new rate is to stay, nothing has to be done.",
    "error_burst": "Look at the service's own log for what it stumbles over.",
}


@job_type(LOG_ANALYSIS, params=AnalysisParams)
def log_analysis(job: RunningJob, params: dict[str, Any]) -> dict[str, Any] | None:
    """Analyse, and tell how much was found."""
    take_in_followed_files(job.progress)
    started = timezone.now()
    since = _since(params, started)
    source = params.get("source", "")
    events = events_of(job, since=since, source=source)
    report = analyse(events, configured_detectors(configuration_now(), _past(since)))
    lines = [lines_of(detection, since=since, source=source) for detection in report.detections]
    with job.transaction():
        recorded = (_recorded(detection, shown) for detection, shown in zip(report.detections, lines, strict=True))
        new = [finding for finding in recorded if finding is not None]
        _tell([finding for finding in new if finding.severity in SERIOUS], job)
        run = AnalysisRun.objects.create(
            job=job.job,
            since=since,
            source=source,
            started_at=started,
            finished_at=timezone.now(),
            events=report.events,
            detections=len(report.detections),
            findings_new=len(new),
        )
        invalidate(tags=TAGS)
        job.complete(_result(run, report, events.repeated))
    return None


def _since(params: dict[str, Any], now: datetime) -> datetime:
    given = parse_datetime(params["since"]) if "since" in params else None
    return given or now - WINDOW


def _past(since: datetime) -> PastLogins | None:
    """The logins of privileged users that arrived before ``since``."""
    oldest = LogEvent.objects.order_by("time", "id").values_list("time", flat=True).first()
    if oldest is None:
        return None
    logins = LogEvent.objects.filter(
        kind=Kind.AUTH_SUCCESS, user_name__in=PRIVILEGED_USERS, source_ip__isnull=False, received_at__lt=since
    ).order_by("-time", "-id")[:MOST_PAST_LOGINS]
    return PastLogins(oldest, tuple(logins.values_list("user_name", "source_ip"))[::-1])


def events_of(job: RunningJob, *, since: datetime, source: str) -> Settled:
    """The stored events in the order of their times, each line once, telling ``job`` how far it is.

    By when they arrived, so that an old log that was just taken in is looked at as well. First all ids (8 bytes each),
    then the rows by some thousands: a cursor that stayed open would hold a snapshot of the database, in which SQLite
    lets nobody write progress once others have written.

    Args:
        since: arrivals from then on.
        source: of this source only; all if empty.
    """
    return Settled(_arrivals(job, since, source))


def _arrivals(job: RunningJob, since: datetime, source: str) -> Iterator[Arrival]:
    rows = LogEvent.objects.filter(received_at__gte=since)
    if source:
        rows = rows.filter(source=source)
    ids = array("q", rows.order_by("time", "id").values_list("pk", flat=True).iterator(chunk_size=ROWS_AT_A_TIME))
    for start in range(0, len(ids), ROWS_AT_A_TIME):
        job.progress(start / len(ids), f"{start} of {len(ids)} events")
        chunk = ids[start : start + ROWS_AT_A_TIME].tolist()
        found = LogEvent.objects.in_bulk(chunk)
        yield from (_arrival(found[pk]) for pk in chunk if pk in found)
    job.progress(1.0, f"{len(ids)} events")


def _arrival(row: LogEvent) -> Arrival:
    return Arrival(event_of(row), row.source, row.received_at)


def _recorded(detection: Detection, lines: list[str]) -> Finding | None:
    """The finding if it is new or open again."""
    finding, is_new = record_finding(
        fingerprint=detection.fingerprint,
        source=Finding.Source.LOGS,
        check_id=f"logs.{detection.detector}",
        title=detection.title,
        description=detection.description,
        advice=ADVICE.get(detection.detector, ""),
        severity=str(detection.severity),
        confidence=CONFIDENCE,
        evidence=_evidence(detection, lines),
        seen_at=detection.last_seen,
        subject=detection.subject,
        first_seen=detection.first_seen,
        grow=grown,
    )
    return finding if is_new else None


def _evidence(detection: Detection, lines: list[str]) -> dict[str, Any]:
    evidence = {**detection.evidence, "count": detection.count, "episodes": detection.episodes, "lines": lines}
    return {**evidence, "by_hour": dict(detection.by_hour)} if detection.by_hour else evidence


def _tell(findings: Sequence[Finding], job: RunningJob) -> None:
    """Notify of new findings, which come the gravest first."""
    messages = [
        Message(
            title=finding.title,
            body=finding.description,
            severity=finding.severity,
            link=reverse("security:finding", args=[finding.pk]),
            key=f"finding:{finding.pk}",
        )
        for finding in findings[:MOST_NOTIFICATIONS]
    ]
    if more := findings[MOST_NOTIFICATIONS:]:
        messages.append(
            Message(
                title=f"{len(more)} more new findings of high or critical severity",
                body="\n".join(finding.title for finding in more[:MOST_NOTIFICATIONS]),
                severity=more[0].severity,
                link=f"{reverse('security:findings')}?source=logs&min_severity=high",
                key=f"log_analysis:{job.job.pk}",
            )
        )
    if messages:
        notify_of(messages, roles=ANALYSTS)


def _result(run: AnalysisRun, report: AnalysisReport, repeated: int) -> dict[str, Any]:
    return {
        "events": run.events,
        "detections": run.detections,
        "findings_new": run.findings_new,
        "by_kind": dict(report.by_kind),
        "repeated": repeated,
        "late": report.late,
        "dropped_detections": report.dropped_detections,
        "top_sources": [{"source": source, "events": events} for source, events in report.by_source[:10]],
    }
