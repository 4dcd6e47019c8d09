"""The security posture as numbers, in a fixed number of queries however much there is to count."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate, TruncHour
from django.utils import timezone

from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.parsers import Kind
from securenet.network.models import Asset, Service
from securenet.security.findings import reopen_accepted
from securenet.security.models import Finding, Scan, Severity
from securenet.vulnerabilities.knowledge import data_age

# Days that an open finding may be old, per group; the last group has no end.
AGE_GROUPS = (("under_1_day", 1), ("under_7_days", 7), ("under_30_days", 30))
OLDEST_GROUP = "older"
TREND_DAYS = 14
RATE_HOURS = 24
TOP_SOURCES = 10


def posture(now: datetime | None = None) -> dict[str, Any]:
    """Findings, assets, events and what was done lately, as of ``now``."""
    now = now or timezone.now()
    reopen_accepted(now)
    active = Finding.objects.filter(state__in=Finding.ACTIVE)
    return {
        "generated_at": now,
        "findings": {
            "open": active.count(),
            "by_severity": _counts(active, "severity", Severity.values),
            "by_age": _by_age(active, now),
            "trend": _trend(now),
        },
        "assets": {
            "total": Asset.objects.count(),
            "by_exposure": _counts(Asset.objects.all(), "exposure", Asset.Exposure.values),
            "by_criticality": _counts(Asset.objects.all(), "criticality", Asset.Criticality.values),
            "open_services": Service.objects.filter(state=Service.State.OPEN).count(),
        },
        "events": {"per_hour": _per_hour(now), "top_attack_sources": _top_sources(now)},
        "last_scan": _last_scan(),
        "last_analysis": last_analysis(now),
        "vulnerability_data": data_age(now),
    }


def last_analysis(now: datetime) -> dict[str, Any] | None:
    """When logs were last analysed, and what came of it; ``age`` in seconds."""
    run = AnalysisRun.objects.order_by("-finished_at").first()
    if run is None:
        return None
    return {
        "finished_at": run.finished_at,
        "age": round((now - run.finished_at).total_seconds()),
        "events": run.events,
        "detections": run.detections,
        "findings_new": run.findings_new,
    }


def _counts(rows: QuerySet[Any], column: str, values: list[str]) -> dict[str, int]:
    found = dict(rows.order_by().values_list(column).annotate(Count("pk")))
    return {value: found.get(value, 0) for value in values}


def _by_age(active: QuerySet[Finding], now: datetime) -> dict[str, int]:
    limits = [(name, now - timedelta(days=days)) for name, days in AGE_GROUPS]
    aggregates = {}
    newer_than: Q = Q()
    for name, limit in limits:
        aggregates[name] = Count("pk", filter=Q(first_seen__gt=limit) & newer_than)
        newer_than = Q(first_seen__lte=limit)
    aggregates[OLDEST_GROUP] = Count("pk", filter=newer_than)
    return active.aggregate(**aggregates)


def _trend(now: datetime) -> list[dict[str, Any]]:
    """Findings that came and that were resolved, per day, oldest first."""
    first_day = (now - timedelta(days=TREND_DAYS - 1)).date()
    new = _per_day("first_seen", first_day)
    resolved = _per_day("resolved_at", first_day)
    days = [first_day + timedelta(days=number) for number in range(TREND_DAYS)]
    return [{"day": day, "new": new.get(day, 0), "resolved": resolved.get(day, 0)} for day in days]


def _per_day(column: str, first_day: Any) -> dict[Any, int]:
    rows = Finding.objects.filter(**{f"{column}__date__gte": first_day})
    return dict(rows.order_by().annotate(day=TruncDate(column)).values_list("day").annotate(Count("pk")))


def _per_hour(now: datetime) -> list[dict[str, Any]]:
    """Events per hour by when they happened, oldest first."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    first = this_hour - timedelta(hours=RATE_HOURS - 1)
    rows = LogEvent.objects.filter(time__gte=first, time__lte=now).order_by()
    counted = dict(rows.annotate(hour=TruncHour("time")).values_list("hour").annotate(Count("pk")))
    hours = [first + timedelta(hours=number) for number in range(RATE_HOURS)]
    return [{"hour": hour, "events": counted.get(hour, 0)} for hour in hours]


def _top_sources(now: datetime) -> list[dict[str, Any]]:
    """Addresses with the most refused log-ins, among events that arrived in the last day."""
    rows = (
        LogEvent.objects.filter(
            received_at__gte=now - timedelta(hours=RATE_HOURS), kind=Kind.AUTH_FAILURE, source_ip__isnull=False
        )
        .order_by()
        .values("source_ip")
        .annotate(attempts=Sum("count"), last_seen=Max("time"))
        .order_by("-attempts", "source_ip")[:TOP_SOURCES]
    )
    return [{"source": row["source_ip"], "attempts": row["attempts"], "last_seen": row["last_seen"]} for row in rows]


def _last_scan() -> dict[str, Any] | None:
    scan = Scan.objects.with_state().order_by("-pk").first()
    if scan is None:
        return None
    return {
        "targets": scan.targets,
        "state": scan.state,
        "finished_at": scan.finished_at,
        "hosts_up": scan.hosts_up,
        "open_ports": scan.open_ports,
        "findings_new": scan.findings_new,
    }
