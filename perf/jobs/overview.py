"""The state of the queues in a few numbers, from the rows: for the admin's list of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from django.utils import timezone

from perf.jobs import admission
from perf.jobs.policy import terms_of_types, total_capacity
from perf.models import Job


@dataclass(frozen=True, slots=True)
class TypeOverview:
    """Jobs of one type, or of all (``name`` is ""). ``oldest_seconds`` is how long the oldest one waits."""

    name: str
    waiting: int
    running: int
    capacity: int
    oldest_seconds: float | None
    ended_per_minute: float


def overview() -> list[TypeOverview]:
    """All types together first, then each type that has active jobs."""
    now = timezone.now()
    waiting, running = Q(status=Job.Status.SUBMITTED), Q(status=Job.Status.PROCESSING)
    active = Job.objects.filter(status__in=Job.ACTIVE).order_by()
    counted = {"waiting": Count("pk", filter=waiting), "running": Count("pk", filter=running)}
    oldest = {"oldest": Min("submitted_at", filter=waiting)}
    by_type: dict[str, dict[str, Any]] = {
        row["type"]: dict(row) for row in active.values("type").annotate(**counted, **oldest)
    }
    terms = terms_of_types(by_type)
    rows = [("", total_capacity(), active.aggregate(**counted, **oldest))]
    rows += [(name, terms[name].capacity, row) for name, row in sorted(by_type.items())]
    return [
        TypeOverview(
            name,
            row["waiting"],
            row["running"],
            capacity,
            _age(row["oldest"], now),
            admission.ended_lately(name) * 60 / admission.DRAIN_WINDOW_SECONDS,
        )
        for name, capacity, row in rows
    ]


def _age(since: datetime | None, now: datetime) -> float | None:
    return (now - since).total_seconds() if since else None
