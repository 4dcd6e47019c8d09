"""Jobs that do not stop when told, and a worker for them: ``python -m tests.integration.obstinate_jobs``."""

from __future__ import annotations

import os
import re
import time
from typing import Any

MEMORY = 256 * 1024 * 1024  # bytes that a job of the worker may have
LEASE = 600.0  # seconds: nothing here may wait for the end of a lease


def register() -> None:
    """Make the job types known; Django has to be set up."""
    from perf.jobs import RunningJob, job_type

    @job_type("test_lock_holder")
    def lock_holder(job: RunningJob, params: dict[str, Any]) -> None:
        """Never gives Python's lock back: no thread of the process gets a turn."""
        job.log(str(os.getpid()))
        re.fullmatch(r"(a|aa)+b", "a" * 200)

    @job_type("test_swallower")
    def swallower(job: RunningJob, params: dict[str, Any]) -> None:
        """Catches whatever it is told with."""
        job.log(str(os.getpid()))
        while True:
            try:
                time.sleep(0.05)
                job.check()
            except BaseException:
                continue

    @job_type("test_glutton")
    def glutton(job: RunningJob, params: dict[str, Any]) -> None:
        """Wants more memory than it may have."""
        bytearray(2 * MEMORY)

    @job_type("test_victim")
    def victim(job: RunningJob, params: dict[str, Any]) -> dict[str, int]:
        """Its first attempt waits to be killed."""
        job.log(str(os.getpid()))
        while job.job.attempt == 1:
            time.sleep(0.05)
        return {"attempt": job.job.attempt}


def main() -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.PERF_JOB_MEMORY_BYTES = MEMORY
    settings.PERF_JOB_LEASE_SECONDS = LEASE
    django.setup()
    register()
    call_command("rqworker")


if __name__ == "__main__":
    main()
