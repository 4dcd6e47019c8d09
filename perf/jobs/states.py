"""Every change of a job's state: conditional updates of its row, so that two can never both happen.

Capacity is given back in the transaction that ends a job, and nowhere else.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from perf.conf import setting
from perf.jobs import admission
from perf.jobs.policy import JobTerms, terms_for
from perf.models import Job

Status = Job.Status
MAX_BACKOFF_SECONDS = 3600


def claim(job_id: str) -> Job | None:
    """Take a waiting job for this worker: a lease, and the next attempt number. None: there is nothing to take."""
    now = timezone.now()
    waiting = Job.objects.filter(pk=job_id, status=Status.SUBMITTED).exclude(run_after__gt=now)
    taken = waiting.update(
        status=Status.PROCESSING,
        attempt=F("attempt") + 1,
        started_at=Coalesce("started_at", now),
        lease_expires_at=_lease_end(now),
        progress=0.0,
        message="",
    )
    return Job.objects.select_related("submitted_by").get(pk=job_id) if taken else None


def renew(job: Job) -> bool:
    """Keep the lease; False where the job is not this attempt's any more."""
    return bool(_held(job).update(lease_expires_at=_lease_end(timezone.now())))


def note_progress(job: Job, progress: float, message: str) -> bool:
    """Write progress; False where the job is not this attempt's any more."""
    return bool(_held(job).update(progress=progress, message=message[:500]))


def is_held(job: Job) -> bool:
    """Say whether this attempt still holds the job; inside a transaction the row stays locked until its end."""
    return bool(_held(job).select_for_update().exists())


def complete(job: Job, result: Any) -> bool:
    """The job is done. False where it is not this attempt's any more."""
    return _end(job, Status.COMPLETED, result=result, progress=1.0, error="")


def fail(job: Job, error: str) -> bool:
    """The job has failed for good."""
    return _end(job, Status.FAILED, error=error[:10_000])


def cancel(job: Job) -> bool:
    """End a waiting or running job. A worker that runs it can write nothing from now on, and stops."""
    with transaction.atomic():
        ended = Job.objects.filter(pk=job.pk, status__in=Job.ACTIVE).update(
            status=Status.CANCELLED, finished_at=timezone.now(), lease_expires_at=None
        )
        if ended:
            admission.give_back(job.type)
    return bool(ended)


def retry_or_fail(job: Job, error: str) -> bool:
    """An attempt came to nothing: back to the queue after the back-off, or failed after the last attempt."""
    terms = terms_for(job.type)
    if job.attempt >= terms.max_attempts:
        return fail(job, error)
    return bool(
        _held(job).update(
            status=Status.SUBMITTED,
            run_after=timezone.now() + backoff(terms, job.attempt),
            lease_expires_at=None,
            published_at=None,
            error=error[:10_000],
        )
    )


def backoff(terms: JobTerms, attempt: int) -> timedelta:
    """Exponential, with up to half of it as jitter, so that jobs that failed together don't come back together."""
    seconds = min(terms.retry_backoff * 2 ** (attempt - 1), MAX_BACKOFF_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))


def _end(job: Job, status: Status, **values: Any) -> bool:
    with transaction.atomic():
        ended = _held(job).update(status=status, finished_at=timezone.now(), lease_expires_at=None, **values)
        if ended:
            admission.give_back(job.type)
    return bool(ended)


def _held(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, attempt=job.attempt, status=Status.PROCESSING)


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=float(setting("JOB_LEASE_SECONDS")))
