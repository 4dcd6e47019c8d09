"""Jobs with effects that can be counted, and a process for them: ``python -m tests.chaos.job_worker MODE …``.

``work`` is `manage.py rqworker` with these job types; ``submit THREADS UNTIL`` is many clients that submit as fast as
they can until the time ``UNTIL`` of CLOCK_MONOTONIC, and print what became of it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

EFFECTS = "chaos_effects"
QUEUES = {"test_effect": "default", "test_urgent_effect": "high"}


def register() -> None:
    """Make the job types known; Django has to be set up."""
    from django.db import connection
    from rest_framework import serializers

    from perf.jobs import RunningJob, job_type

    class Params(serializers.Serializer[Any]):
        number = serializers.IntegerField()
        fails_first = serializers.BooleanField(default=False)
        gate = serializers.CharField(required=False)

    def effect(job: RunningJob, params: dict[str, Any]) -> dict[str, int]:
        """Work for some milliseconds, then one row, together with the job's end."""
        job.progress(0.1, "working")
        hashlib.pbkdf2_hmac("sha256", b"work", b"salt", 5_000 * (1 + params["number"] % 10))
        if params["fails_first"] and job.job.attempt == 1:
            raise RuntimeError("The first attempt never works.")
        gate = params.get("gate")
        if gate and job.job.attempt == 1:
            Path(gate).write_text(str(os.getpid()))
            while Path(gate).exists():
                time.sleep(0.02)
        with job.transaction():
            with connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO {EFFECTS} VALUES (%s, %s)", [str(job.job.pk), job.job.attempt])
            job.complete({"attempt": job.job.attempt})
        return {}

    for name, queue in QUEUES.items():
        job_type(name, params=Params, queue=queue)(effect)


def submit_until(threads: int, until: float) -> dict[str, int]:
    """Clients without a pause; returns how many submissions were accepted, and how many found the queue full."""
    from django.db import connections

    from perf.jobs import QueueFull, submit

    counts = {"accepted": 0, "full": 0}
    lock = threading.Lock()

    def client(number: int) -> None:
        try:
            while time.monotonic() < until:
                try:
                    submit("test_effect", {"number": number})
                    outcome = "accepted"
                except QueueFull:
                    outcome = "full"
                with lock:
                    counts[outcome] += 1
        finally:
            connections.close_all()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return counts


def main(mode: str, *arguments: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    for name in ("JOB_LEASE_SECONDS", "JOB_CAPACITY"):
        if value := os.environ.get(f"CHAOS_{name}"):
            setattr(settings, f"PERF_{name}", float(value))
    django.setup()
    register()
    if mode == "work":
        call_command("rqworker")
    else:
        counts = submit_until(int(arguments[0]), float(arguments[1]))
        Path(arguments[2]).write_text(f"{counts['accepted']} {counts['full']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
