"""Counts that only rise, over all processes and restarts of them: what monitoring systems compute rates from.

The statistics are kept by the minute and expire. Whoever reads the totals adds the minutes that are over to them, so
that counting itself costs nothing more. If nobody reads for a day, what expired meanwhile is missing.
"""

from __future__ import annotations

import time
from collections import Counter

from perf.gate import keys
from perf.gate.scripts import load_script
from perf.gate.store import store
from perf.metrics.read import taken_apart

KEPT_SECONDS = 30 * 24 * 3600
STATISTICS_MINUTES = 1500  # of statistics.lua: older minutes have expired
MINUTES_AT_A_TIME = 30


def read_totals() -> Counter[str]:
    """All events ever counted, by field; monotonic unless Redis lost its data. Raises `StoreUnavailable`."""
    this_minute = int(time.time() // 60)
    folded = store.ask(lambda client: client.hget(keys.totals(), "folded"))
    # One minute more at either end: Redis' clock may differ.
    first = max(int(folded or 0) + 1, this_minute - STATISTICS_MINUTES)
    minutes = range(min(first, this_minute - 1), this_minute + 2)
    reply: list[bytes] = []
    for start in range(minutes.start, minutes.stop, MINUTES_AT_A_TIME):
        some = range(start, min(start + MINUTES_AT_A_TIME, minutes.stop))
        reply = store.run(
            load_script("fold_statistics"),
            [keys.totals(), *(f"{keys.statistics()}{minute}" for minute in some)],
            [KEPT_SECONDS, *some],
        )
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    fields.pop(b"folded", None)
    return taken_apart(fields)
