"""What happened to jobs, for people to read. Nothing is decided by it."""

from __future__ import annotations

from perf.models import Job, JobEvent

MAX_TEXT = 2000


def note(job: Job, kind: JobEvent.Kind, text: str = "") -> None:
    """Write down that ``kind`` happened to ``job`` in its present attempt; in the transaction that makes it so."""
    JobEvent.objects.create(job_id=job.pk, attempt=job.attempt, kind=kind, text=text[:MAX_TEXT])
