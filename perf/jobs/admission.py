"""Capacity: a place is taken by one conditional update in the transaction that inserts the job."""

from __future__ import annotations

import math
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from perf.jobs.errors import QueueFull
from perf.jobs.policy import JobTerms
from perf.models import Job, JobCapacity

ALL_TYPES = ""
DRAIN_WINDOW_SECONDS = 300
LONGEST_RETRY_SECONDS = 120
UNKNOWN_RETRY_SECONDS = 30


def take_place(job_type: str, terms: JobTerms) -> None:
    """Take a place for a job, in all and of its type. Call it in the transaction that inserts the job.

    Raises:
        QueueFull: there is none; roll the transaction back.
    """
    if not _take(ALL_TYPES, terms.total_capacity):
        raise QueueFull("of all types", terms.total_capacity, retry_after())
    if not _take(job_type, terms.capacity):
        raise QueueFull(f"of type {job_type}", terms.capacity, retry_after(job_type))


def give_back(job_type: str) -> None:
    """Give back a job's place, in the transaction that ends the job."""
    for name in (ALL_TYPES, job_type):  # the order in which places are taken, so that no two wait for each other
        JobCapacity.objects.filter(type=name, active__gt=0).update(active=F("active") - 1)


def retry_after(job_type: str = ALL_TYPES) -> int:
    """Seconds after which a place should be free, by how fast jobs ended lately."""
    ended = ended_lately(job_type)
    return min(LONGEST_RETRY_SECONDS, math.ceil(DRAIN_WINDOW_SECONDS / ended)) if ended else UNKNOWN_RETRY_SECONDS


def ended_lately(job_type: str = ALL_TYPES) -> int:
    """How many jobs ended within `DRAIN_WINDOW_SECONDS`."""
    ended = Job.objects.filter(finished_at__gte=timezone.now() - timedelta(seconds=DRAIN_WINDOW_SECONDS))
    return (ended.filter(type=job_type) if job_type else ended).count()


def recount() -> None:
    """Set the counts to what the rows say. Rows and counts change together, so this corrects only outside meddling."""
    with transaction.atomic():
        rows = list(JobCapacity.objects.select_for_update().order_by("type"))
        counts = dict(Job.objects.filter(status__in=Job.ACTIVE).values_list("type").annotate(Count("pk")).order_by())
        for row in rows:
            active = sum(counts.values()) if row.type == ALL_TYPES else counts.get(row.type, 0)
            if row.active != active:
                JobCapacity.objects.filter(pk=row.pk).update(active=active)


def _take(name: str, capacity: int) -> bool:
    places = JobCapacity.objects.filter(type=name)
    free = places.filter(active__lt=capacity)
    if free.update(active=F("active") + 1):
        return True
    if not places.exists():
        JobCapacity.objects.bulk_create([JobCapacity(type=name)], ignore_conflicts=True)
    # Somebody else's first job may have made the row between the update and the look.
    return bool(free.update(active=F("active") + 1))
