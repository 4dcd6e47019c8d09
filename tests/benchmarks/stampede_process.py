"""One of the processes of a stampede: `python -m tests.benchmarks.stampede_process NUMBER`.

Reads a `Stampede` per line from standard input; answers with the requests it made, as [begun, ended, status], in
nanoseconds of the clock that all processes of the machine share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import django
from django.conf import settings
from django.test import override_settings

from tests.chaos.worker import Browser

ORIGIN_CALLS = "bench:origin-calls"  # a counter in Redis


@dataclass(frozen=True, slots=True)
class Stampede:
    """``requests`` requests for one path at one moment, of the monotonic clock in seconds, from all processes."""

    path: str
    middleware: Sequence[str]
    requests: int
    processes: int
    starts_at: float

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def share_of(self, process: int) -> range:
        """The clients for whom this process asks, each from an address of its own."""
        return range(process, self.requests, self.processes)


def carry_out(stampede: Stampede, process: int, threads: ThreadPoolExecutor) -> list[tuple[int, int, int]]:
    """Each client asks in a thread of its own."""
    with override_settings(MIDDLEWARE=stampede.middleware):
        browser = Browser(process)

    def ask(client: int) -> tuple[int, int, int]:
        time.sleep(max(0.0, stampede.starts_at - time.monotonic()))
        answer = browser.get(stampede.path, client)
        return answer.started, answer.ended, answer.status

    return list(threads.map(ask, stampede.share_of(process)))


def main(process: int) -> None:
    settings.ROOT_URLCONF = "tests.benchmarks.stampede_views"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "cacheops"]
    settings.CACHEOPS_REDIS = os.environ["REDIS_URL"]
    settings.CACHEOPS = {"auth.group": {"ops": (), "timeout": 600}}
    django.setup()
    with ThreadPoolExecutor(max_workers=500) as threads:
        for line in sys.stdin:
            print(json.dumps(carry_out(Stampede(**json.loads(line)), process, threads)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
