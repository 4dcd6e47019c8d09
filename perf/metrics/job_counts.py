"""Counts what happens to jobs, and how long they wait and run, beside the statistics of requests.

Nothing is decided by it: the rows are the truth, and a process that is killed takes its last count along.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from datetime import datetime

from perf.gate.keeper import flush_notes
from perf.gate.notes import notes
from perf.gate.store import StoreUnavailable

log = logging.getLogger(__name__)

# Upper bounds in seconds; longer ones fall into one more bucket.
BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def count_event(job_type: str, event: str) -> None:
    """``event`` happened to a job of this type."""
    notes.note(f"job:{job_type}:{event}")


def count_wait(job_type: str, submitted_at: datetime, started_at: datetime) -> None:
    """A job was taken up for the first time."""
    _observe("jobwait", job_type, (started_at - submitted_at).total_seconds())


def count_run(job_type: str, started_at: datetime, finished_at: datetime) -> None:
    """A job ended that had been taken up; from its first start, further attempts included."""
    _observe("jobrun", job_type, (finished_at - started_at).total_seconds())


def count_recovery(what: str, times: int) -> None:
    """The recovery pass did something."""
    if times:
        notes.note(f"recovery:{what}:done", times)
        deliver()


def deliver() -> None:
    """Send the counts: this process may end before it sends anything else."""
    try:
        flush_notes()
    except StoreUnavailable as reason:
        log.info("Counts of jobs wait for Redis: %s", reason)


def _observe(kind: str, job_type: str, seconds: float) -> None:
    seconds = max(0.0, seconds)
    notes.note(f"{kind}:{job_type}:{bisect_left(BOUNDS, seconds)}")
    notes.note(f"{kind}_sum:{job_type}:us", round(seconds * 1e6))
