"""One run of a job: claim, carry out, end. RQ calls `run_job` in a process of its own (the work-horse).

Beside the function runs the minder, a thread that renews the lease and watches for the job's end from outside. Code
that does not stop when told is ended with its process; its row was settled before.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from django import db
from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.utils import translation
from rest_framework.exceptions import APIException

from perf import tracing
from perf.conf import setting
from perf.jobs import states
from perf.jobs.errors import JobFailed, JobStopped, JobTimedOut, LeaseLost
from perf.jobs.horse import WorkHorse, let_kernel_end_after
from perf.jobs.policy import terms_for
from perf.jobs.registry import find_job_type
from perf.jobs.running import RunningJob
from perf.log_context import about_job
from perf.models import Job

log = logging.getLogger(__name__)

# Seconds a function has to end after it was told to, before its process is ended.
GRACE_SECONDS = 0.5
WATCH_SECONDS = 0.2
# Seconds after its time-out at which the kernel ends a work-horse whose minder could not.
KERNEL_GRACE_SECONDS = 2.0
EXIT_CODE = 70

_horse: WorkHorse | None = None
_claimed: Job | None = None


def begin(horse: WorkHorse, job_id: str) -> None:
    """In a work-horse: the process is the job's own. Claims the job, which need not wait for RQ's book-keeping."""
    global _horse, _claimed
    _horse = horse
    try:
        _claimed = _claim(job_id)
    except db.DatabaseError as error:
        log.warning("Job %s could not be claimed at once: %s", job_id, error)
        db.connections.close_all()


def _claim(job_id: str) -> Job | None:
    job = states.claim(job_id)
    if job is not None and _horse is not None:
        _horse.attempt = job.attempt
    return job


def run_job(job_id: str) -> None:
    """Carry out the job ``job_id`` if it is still waiting."""
    job = _claimed or _claim(job_id)
    if job is None:
        log.info("Job %s is not waiting; nothing to do.", job_id)
        return
    running = RunningJob(job)
    timeout = terms_for(job.type).timeout
    minder = Minder(running, timeout)
    if _horse is not None:
        let_kernel_end_after(timeout + KERNEL_GRACE_SECONDS)
    minder.start()
    try:
        with translation.override(settings.LANGUAGE_CODE), about_job(job_id), tracing.attempt(job):
            _carry_out(running)
    finally:
        minder.stop()
        if _horse is not None:
            let_kernel_end_after(0)


def _carry_out(running: RunningJob) -> None:
    job = running.job
    job_type = find_job_type(job.type)
    if job_type is None:
        states.fail(job, f"No job type {job.type!r} is registered in this worker.")
        return
    try:
        result = job_type.function(running, job.params)
        if not running.is_complete:
            running.complete(result)
    except JobTimedOut as reason:
        states.fail(job, str(reason))
    except JobStopped as reason:
        log.info("Job %s stopped: %s", job.pk, reason)
    except MemoryError:
        states.fail(
            job, f"It needed more memory than PERF_JOB_MEMORY_BYTES allows: {setting('JOB_MEMORY_BYTES')} bytes."
        )
    except (JobFailed, APIException, DjangoValidationError) as error:
        states.fail(job, str(error))
    except Exception as error:
        log.exception("Attempt %s of job %s (%s) failed.", job.attempt, job.pk, job.type)
        states.retry_or_fail(job, f"{type(error).__name__}: {error}")


class Minder:
    """Watches over one run: renews its lease, and ends it when it is cancelled, lost or out of time."""

    def __init__(self, running: RunningJob, timeout: float) -> None:
        self._running = running
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._done = threading.Event()
        self._told_at: float | None = None
        self._renewed = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="perf-minder", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """The run has ended."""
        self._done.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        try:
            while not self._done.wait(WATCH_SECONDS):
                try:
                    self._look()
                except db.DatabaseError as error:
                    log.warning("The lease of job %s could not be renewed: %s", self._running.job.pk, error)
                    db.connections.close_all()
        finally:
            db.connections.close_all()

    def _look(self) -> None:
        now = time.monotonic()
        if self._told_at is not None:
            if now - self._told_at > GRACE_SECONDS:
                self._end_process()
        elif now >= self._deadline:
            self._tell(JobTimedOut(f"Timed out after {self._timeout:g} s."), now)
        elif now - self._renewed >= float(setting("JOB_LEASE_SECONDS")) / 4:
            self._renewed = now
            if not states.renew(self._running.job):
                self._tell(LeaseLost("The job has ended or is another worker's."), now)
        elif not self._is_ours():
            self._tell(LeaseLost("The job has ended or is another worker's."), now)

    def _is_ours(self) -> bool:
        job = self._running.job
        return Job.objects.filter(pk=job.pk, attempt=job.attempt, status=Job.Status.PROCESSING).exists()

    def _tell(self, reason: JobStopped, now: float) -> None:
        if self._done.is_set():
            return
        self._told_at = now
        self._running.request_stop(reason)

    def _end_process(self) -> None:
        if _horse is None or self._done.is_set():
            return
        states.fail(self._running.job, f"Timed out after {self._timeout:g} s, and did not stop when told.")
        log.warning("Job %s did not stop when told; its process is ended.", self._running.job.pk)
        os._exit(EXIT_CODE)
