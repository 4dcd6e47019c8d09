"""What a job's function holds in its hands: progress, fenced transactions, its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

from django.db import transaction

from perf.jobs import states
from perf.jobs.errors import JobStopped, LeaseLost
from perf.models import Job

PROGRESS_SECONDS = 0.25
LINE_SECONDS = 2.0
MAX_LINES = 300


class RunningJob:
    """One attempt at a job. ``job`` is its row as it was claimed."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_complete = False
        self._stop: JobStopped | None = None
        self._stopped = Event()
        self._last_progress = 0.0
        self._lines = 0
        self._last_line = ""
        self._last_line_at = 0.0

    @property
    def user(self) -> Any:
        """Who submitted the job; None for the system, or where the account is gone."""
        return self.job.submitted_by

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far the job is: ``fraction`` of 1, and what it is doing.

        Cheap to call often: the row is written at most every quarter of a second.

        Raises:
            JobStopped: the job was cancelled, timed out, or was given to another worker.
        """
        self.check()
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_SECONDS and fraction < 1:
            return
        self._last_progress = now
        if not states.note_progress(self.job, min(1.0, max(0.0, fraction)), message):
            raise LeaseLost("The job is not this worker's any more.")
        if message != self._last_line and now - self._last_line_at >= LINE_SECONDS:
            self._last_line_at = now
            self.log(message)

    def log(self, line: str) -> None:
        """Write a line for people to the job's timeline; beyond `MAX_LINES` of an attempt there are no more.

        `progress` writes its message, too, every few seconds at most.

        Raises:
            JobStopped: the job was cancelled, timed out, or was given to another worker.
        """
        self.check()
        self._last_line = line
        self._lines += 1
        if line and self._lines <= MAX_LINES and not states.log(self.job, line):
            raise LeaseLost("The job is not this worker's any more.")

    def check(self) -> None:
        """Raise `JobStopped` if the run has to end; for long work without progress to tell."""
        if self._stop is not None:
            raise self._stop

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A database transaction that only the holder of the job can commit.

        Raises:
            LeaseLost: another attempt holds the job, or it has ended; nothing is written.
        """
        with transaction.atomic():
            if not states.is_held(self.job):
                raise LeaseLost("The job is not this worker's any more.")
            yield

    def complete(self, result: Mapping[str, Any] | None = None) -> None:
        """Mark the job as completed; inside ``transaction()`` together with its last effects."""
        if not states.complete(self.job, dict(result) if result is not None else None):
            raise LeaseLost("The job is not this worker's any more.")
        transaction.on_commit(self._note_complete)

    def request_stop(self, reason: JobStopped) -> None:
        """Make the next `progress`, `check` or transaction raise ``reason``."""
        self._stop = reason
        self._stopped.set()

    def _note_complete(self) -> None:
        self.is_complete = True
