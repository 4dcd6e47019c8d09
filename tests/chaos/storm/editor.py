"""A process that edits the policy "open" until SIGTERM, and records each edit, whatever became of it.

``python -m tests.chaos.storm.editor RECORDS``. Unlike `tests.chaos.editor` it goes on when the database fails it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import django

from tests.chaos.editor import WAYS
from tests.chaos.stopping import Stopped
from tests.chaos.storm import plan
from tests.chaos.storm.record import PolicyEdit

PAUSE = 0.15  # seconds between two edits


def carry_out(number: int) -> PolicyEdit:
    """Edit number ``number``, by another of the ways there are each time."""
    from django.db import Error, close_old_connections

    from perf.models import RateLimitPolicy

    close_old_connections()
    way = list(WAYS.values())[number % len(WAYS)]
    began = time.monotonic_ns()
    try:
        way(RateLimitPolicy.objects.get(name="open"), "limit", plan.OPEN_BASE + number)
    except Error as error:
        print(f"edit {number}: {error!r}", flush=True)
        return PolicyEdit(number, began, 0)
    return PolicyEdit(number, began, time.monotonic_ns())


def main(records: Path) -> None:
    stopped = Stopped()
    django.setup()
    number = 0
    with records.open("w", buffering=1) as file:
        while not stopped.is_set:
            number += 1
            file.write(json.dumps(asdict(carry_out(number))) + "\n")
            time.sleep(PAUSE)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    main(Path(sys.argv[1]))
