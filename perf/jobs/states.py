"""Every change of a job's state: conditional updates of its row, so that two can never both happen.

Capacity is given back in the transaction that ends a job, and nowhere else.
"""

from __future__ import annotations

import os
import random
import socket
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from perf.conf import setting
from perf.jobs import admission, timeline
from perf.jobs.policy import JobTerms, terms_for
from perf.jobs.publish import publish_after_commit
from perf.models import Job, JobEvent

Status = Job.Status
Event = JobEvent.Kind
MAX_BACKOFF_SECONDS = 3600


def claim(job_id: str) -> Job | None:
    """Take a waiting job for this worker: a lease, and the next attempt number. None: there is nothing to take."""
    now = timezone.now()
    waiting = Job.objects.filter(pk=job_id, status=Status.SUBMITTED).exclude(run_after__gt=now)
    with transaction.atomic():
        taken = waiting.update(
            status=Status.PROCESSING,
            attempt=F("attempt") + 1,
            started_at=Coalesce("started_at", now),
            lease_expires_at=_lease_end(now),
            progress=0.0,
            message="",
        )
        if not taken:
            return None
        job = Job.objects.select_related("submitted_by").get(pk=job_id)
        timeline.note(job, Event.STARTED, f"{socket.gethostname()}:{os.getpid()}")
    return job


def renew(job: Job) -> bool:
    """Keep the lease; False where the job is not this attempt's any more."""
    return bool(_held(job).update(lease_expires_at=_lease_end(timezone.now())))


def note_progress(job: Job, progress: float, message: str) -> bool:
    """Write progress; False where the job is not this attempt's any more."""
    return bool(_held(job).update(progress=progress, message=message[:500]))


def log(job: Job, text: str) -> bool:
    """Add a line to the job's timeline; False where the job is not this attempt's any more."""
    with transaction.atomic():
        held = is_held(job)
        if held:
            timeline.note(job, Event.MESSAGE, text)
    return held


def is_held(job: Job) -> bool:
    """Say whether this attempt still holds the job; inside a transaction the row stays locked until its end."""
    return bool(_held(job).select_for_update().exists())


def complete(job: Job, result: Any) -> bool:
    """The job is done. False where it is not this attempt's any more."""
    return _end(job, Status.COMPLETED, Event.COMPLETED, result=result, progress=1.0, error="")


def fail(job: Job, error: str) -> bool:
    """The job has failed for good."""
    return _end(job, Status.FAILED, Event.FAILED, error=error[:10_000])


def cancel(job: Job, by: str = "") -> bool:
    """End a waiting or running job. A worker that runs it can write nothing from now on, and stops.

    Args:
        by: who did it, for the timeline.
    """
    with transaction.atomic():
        ended = Job.objects.filter(pk=job.pk, status__in=Job.ACTIVE).update(
            status=Status.CANCELLED, finished_at=timezone.now(), lease_expires_at=None
        )
        if ended:
            admission.give_back(job.type)
            job.refresh_from_db()
            timeline.note(job, Event.CANCELLED, by)
    return bool(ended)


def run_again(job: Job, by: str = "") -> bool:
    """Give a failed or cancelled job one more attempt; False where it is neither any more.

    Args:
        by: who did it, for the timeline.

    Raises:
        QueueFull: there is no place for it.
        IntegrityError: it is to be the only one of its kind, and another is waiting or running.
    """
    with transaction.atomic():
        admission.take_place(job.type, terms_for(job.type))
        again = Job.objects.filter(pk=job.pk, status__in=(Status.FAILED, Status.CANCELLED)).update(
            status=Status.SUBMITTED,
            finished_at=None,
            run_after=None,
            published_at=None,
            progress=0.0,
            message="",
            error="",
        )
        if not again:
            admission.give_back(job.type)
            return False
        job.refresh_from_db()
        timeline.note(job, Event.RERUN, by)
        publish_after_commit(job)
    return True


def retry_or_fail(job: Job, error: str) -> bool:
    """An attempt came to nothing: back to the queue after the back-off, or failed after the last attempt."""
    terms = terms_for(job.type)
    if job.attempt >= terms.max_attempts:
        return fail(job, error)
    wait = backoff(terms, job.attempt)
    with transaction.atomic():
        kept = _held(job).update(
            status=Status.SUBMITTED,
            run_after=timezone.now() + wait,
            lease_expires_at=None,
            published_at=None,
            error=error[:10_000],
        )
        if kept:
            timeline.note(job, Event.RETRY, f"in {wait.total_seconds():.1f} s: {error}")
    return bool(kept)


def backoff(terms: JobTerms, attempt: int) -> timedelta:
    """Exponential, with up to half of it as jitter, so that jobs that failed together don't come back together."""
    seconds = min(terms.retry_backoff * 2 ** (attempt - 1), MAX_BACKOFF_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))


def _end(job: Job, status: Status, event: JobEvent.Kind, **values: Any) -> bool:
    with transaction.atomic():
        ended = _held(job).update(status=status, finished_at=timezone.now(), lease_expires_at=None, **values)
        if ended:
            admission.give_back(job.type)
            timeline.note(job, event, values["error"])
    return bool(ended)


def _held(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, attempt=job.attempt, status=Status.PROCESSING)


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=float(setting("JOB_LEASE_SECONDS")))
