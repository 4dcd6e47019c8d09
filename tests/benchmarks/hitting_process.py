"""One of the processes that ask for warm hits at the same time: ``python -m tests.benchmarks.hitting_process``.

Reads a number of seconds per line, makes hits for so long, and answers ``[hits, seconds of processor time]``.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import repeat

import django
from django.conf import settings


def main() -> None:
    django.setup()
    settings.ROOT_URLCONF = "tests.benchmarks.scaling_views"
    from tests.benchmarks.caches import PERF_MIDDLEWARE
    from tests.benchmarks.handler import asking, handler_with

    gzip = repeat({"HTTP_ACCEPT_ENCODING": "gzip"})
    answer = asking(handler_with(PERF_MIDDLEWARE), repeat("/api/cached/1"), gzip, 200)
    for line in sys.stdin:
        seconds, hits = float(json.loads(line)), 0
        answer()
        end, begun = time.monotonic() + seconds, time.process_time()
        while time.monotonic() < end:
            answer()
            hits += 1
        print(json.dumps([hits, time.process_time() - begun]), flush=True)


if __name__ == "__main__":
    main()
