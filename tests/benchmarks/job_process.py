"""A worker of the jobs benchmark: ``python -m tests.benchmarks.job_process perf`` or ``rq``, Django set up in both."""

from __future__ import annotations

import sys
from typing import Any

BARE_QUEUE = "bench-bare"


def nothing() -> None:
    """What RQ's jobs do."""


def register() -> None:
    """Make the job type of perf's rows known; Django has to be set up."""
    from perf.jobs import job_type

    @job_type("bench_nothing")
    def do_nothing(job: Any, params: dict[str, Any]) -> None:
        """The same."""


def main(whose: str) -> None:
    import django

    django.setup()
    if whose == "perf":
        from django.core.management import call_command

        register()
        call_command("rqworker")
    else:
        import django_rq
        from rq import Queue, Worker

        connection = django_rq.get_connection()
        Worker([Queue(BARE_QUEUE, connection=connection)], connection=connection).work(logging_level="WARNING")


if __name__ == "__main__":
    main(sys.argv[1])
