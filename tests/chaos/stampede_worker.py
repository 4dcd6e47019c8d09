"""A process of a stampede: many threads that ask for the same entry at the same moment.

``python -m tests.chaos.stampede_worker RECORDS THREADS START`` with START in seconds of CLOCK_MONOTONIC, which all
processes share. ORIGIN_CALLS names the file in which each computing of the response is noted.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django
from django.conf import settings

from tests.chaos.answers import Answer


def main(records: Path, threads: int, start: float) -> None:
    settings.ROOT_URLCONF = "tests.chaos.stampede_site"
    django.setup()
    from tests.chaos.worker import Browser

    browser = Browser(os.getpid())
    browser.get("/api/other", client=0)  # connections are made and policies read before it counts

    def ask(client: int) -> Answer:
        time.sleep(max(0.0, start - time.monotonic()))
        return browser.get("/api/slow", client)

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(ask, range(threads)))
    records.write_text("".join(answer.line() for answer in answers))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
