"""A process of its own that takes a log in and analyses it, and tells what that took: ``python -m … LINES``.

Its memory is its own, so what the kernel says of it is what the analysis needs.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import django

START = datetime(2026, 11, 1, tzinfo=UTC)
ATTACKERS, ATTEMPTS = 50, 20


def lines_of(count: int) -> Iterator[str]:
    """Lines of sshd, a web server and a program nobody knows, over two days, with attackers among them.

    50 addresses of 203.0.113.0/24 guess 20 times within a minute; nobody else guesses more than once.
    """
    attacks = {number * (count // (ATTACKERS + 1)): number for number in range(1, ATTACKERS + 1)}
    step = timedelta(days=2) / count
    number = 0
    while number < count:
        at = START + step * number
        if number in attacks:
            source = f"203.0.113.{attacks[number]}"
            for attempt in range(ATTEMPTS):
                when = (at + timedelta(seconds=attempt)).isoformat()
                yield f"{when} gate sshd[{number + attempt}]: Failed password for root from {source} port 4711 ssh2"
            number += ATTEMPTS
            continue
        visitor = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        match number % 4:
            case 0:
                said = f"Accepted publickey for u{number % 97} from {visitor} port 5 ssh2"
                yield f"{at.isoformat()} gate sshd[{number}]: {said}"
            case 1:
                stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
                yield f'{visitor} - - [{stamp}] "GET /page/{number % 1000} HTTP/1.1" 200 {number} "-" "browser"'
            case 2:
                yield f"{at.isoformat()} db1 worker[77]: queue {number} flushed in {number % 900} ms"
            case _:
                yield f"{at.isoformat()} gate sshd[{number}]: Connection closed by {visitor} port 5 [preauth]"
        number += 1


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count: int) -> dict[str, Any]:
    """Take in ``count`` lines, analyse them as one job; returns seconds, memory and what was found."""
    from perf.jobs import submit
    from perf.jobs.run import run_job
    from perf.models import Job
    from securenet.logs.ingest import ingest_lines
    from securenet.security.models import Finding

    began = time.perf_counter()
    lines = lines_of(count)
    while batch := list(islice(lines, 5000)):
        ingest_lines(batch, source="bench", received_at=datetime.now(UTC))
    ingested, before = time.perf_counter(), megabytes()
    job = submit("log_analysis", {"source": "bench"})
    run_job(str(job.pk))
    analysed = time.perf_counter()
    job = Job.objects.get(pk=job.pk)
    return {
        "ingest_seconds": ingested - began,
        "analysis_seconds": analysed - ingested,
        "megabytes_before": before,
        "megabytes": megabytes(),
        "status": job.status,
        "error": job.error,
        "result": job.result,
        "subjects": sorted(Finding.objects.filter(check_id="logs.brute_force").values_list("subject", flat=True)),
        "others": sorted(Finding.objects.exclude(check_id="logs.brute_force").values_list("title", flat=True)),
    }


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(int(sys.argv[1])), default=str))
