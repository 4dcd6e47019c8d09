"""What happened to jobs, for people to read and for monitoring to count. Nothing is decided by it."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from perf.metrics import job_counts
from perf.models import Job, JobEvent

MAX_TEXT = 2000


def note(job: Job, kind: JobEvent.Kind, text: str = "") -> None:
    """Write down that ``kind`` happened to ``job`` in its present attempt; in the transaction that makes it so."""
    event = JobEvent.objects.create(job_id=job.pk, attempt=job.attempt, kind=kind, text=text[:MAX_TEXT])
    if kind != JobEvent.Kind.MESSAGE:
        transaction.on_commit(partial(_count, job, event))


def _count(job: Job, event: JobEvent) -> None:
    job_counts.count_event(job.type, event.kind)
    if event.kind == JobEvent.Kind.STARTED and event.attempt == 1:
        job_counts.count_wait(job.type, job.submitted_at, event.at)
    elif event.kind in _ENDS and job.started_at is not None:
        job_counts.count_run(job.type, job.started_at, event.at)
    job_counts.deliver()


_ENDS = (JobEvent.Kind.COMPLETED, JobEvent.Kind.FAILED, JobEvent.Kind.CANCELLED)
