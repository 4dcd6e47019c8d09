"""What a worker knows of its work-horse, the process that runs one job: which attempt it is, and when it must end.

The minder inside the work-horse (see `perf.jobs.run`) is a thread: code that holds Python's lock for long stops it,
too. So the time-out is the kernel's as well, and the worker looks at the row from outside.
"""

from __future__ import annotations

import logging
import mmap
import os
import resource
import select
import signal
import struct
import sys
from collections.abc import Callable

from django import db

from perf.jobs import states
from perf.jobs.policy import terms_for
from perf.models import Job

log = logging.getLogger(__name__)

# Seconds between two looks of the worker at the row. A work-horse whose job is over at two of them is killed.
LOOK_SECONDS = 0.4
_NUMBER = struct.Struct("Q")


class WorkHorse:
    """The attempt that the present work-horse of a worker has claimed, in memory both processes see."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _NUMBER.size)

    @property
    def attempt(self) -> int:
        """The number of the claimed attempt; 0: none yet."""
        number: int = _NUMBER.unpack_from(self._shared)[0]
        return number

    @attempt.setter
    def attempt(self, number: int) -> None:
        _NUMBER.pack_into(self._shared, 0, number)

    def await_end(self, pid: int, job_id: str, kill: Callable[[], None]) -> None:
        """Return when process ``pid`` has ended; ``kill`` it where its job is over and it goes on."""
        if not hasattr(os, "pidfd_open"):
            return  # not Linux: the minder and RQ's own time-out have to do
        descriptor = os.pidfd_open(pid)
        try:
            ending = select.poll()
            ending.register(descriptor, select.POLLIN)
            looks_after_end = 0
            while not ending.poll(LOOK_SECONDS * 1000):
                looks_after_end = looks_after_end + 1 if self._is_over(job_id) else 0
                if looks_after_end == 2:
                    log.warning("Job %s is over and its process %s goes on; it is killed.", job_id, pid)
                    kill()
        finally:
            os.close(descriptor)

    def settle(self, job_id: str, wait_status: int) -> None:
        """Its process ended otherwise than it should: the job is tried again, or has failed."""
        if not self.attempt:
            return
        job = Job.objects.filter(pk=job_id, attempt=self.attempt).first()
        if job is None:
            return
        number = os.WTERMSIG(wait_status) if os.WIFSIGNALED(wait_status) else 0
        if number == signal.SIGALRM:
            states.fail(job, f"Timed out after {terms_for(job.type).timeout} s, and did not stop when told.")
        elif number:
            states.retry_or_fail(job, f"Its process was ended by {signal.Signals(number).name}.")
        else:
            states.retry_or_fail(job, f"Its process ended with code {os.waitstatus_to_exitcode(wait_status)}.")

    def _is_over(self, job_id: str) -> bool:
        if not self.attempt:
            return False
        try:
            return not Job.objects.filter(pk=job_id, attempt=self.attempt, status=Job.Status.PROCESSING).exists()
        except db.DatabaseError as error:
            log.warning("Job %s could not be looked at: %s", job_id, error)
            db.connections.close_all()
            return False


def limit_memory(size: int) -> None:
    """Let this process have ``size`` bytes of its own at most, then allocations fail; 0: no limit. Linux only."""
    if size and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def let_kernel_end_after(seconds: float) -> None:
    """Have the kernel end this process after ``seconds``, whatever it is doing then; 0 takes that back."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
