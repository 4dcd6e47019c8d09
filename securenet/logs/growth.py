"""One attack, looked at again and again: what is known of it grows, and is counted once. Pure.

Analyses overlap, and each sees a part: the hour in which one counted more is the hour that counts. Lines of one hour
that arrive in pieces, and are never analysed together, are counted only as far as one of the analyses saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from securenet.logs.evidence import joined

# Of longer attacks the oldest hours are kept as one sum.
MOST_HOURS: Final = 24 * 31
_Evidence = Mapping[str, Any]


def grown(older: _Evidence, newer: _Evidence, *, are_apart: bool) -> dict[str, Any]:
    """The evidence of two sights of the same matter together.

    Args:
        older, newer: by the time they end.
        are_apart: whether the newer begins after the older ended; tells whether counts without hours are added.
    """
    evidence = {**older, **newer, "lines": joined([*older.get("lines", ()), *newer.get("lines", ())])}
    if "by_hour" not in older or "by_hour" not in newer:
        counts = int(older.get("count", 0)), int(newer.get("count", 0))
        return {**evidence, "count": sum(counts) if are_apart else max(counts)}
    hours = {**older["by_hour"]}
    for hour, count in newer["by_hour"].items():
        hours[hour] = max(count, hours.get(hour, 0))
    ordered = sorted(hours.items())
    surplus = max(0, len(ordered) - MOST_HOURS)
    before = max(int(older.get("before", 0)), int(newer.get("before", 0))) + sum(
        count for _, count in islice(ordered, surplus)
    )
    kept = dict(ordered[surplus:])
    return {**evidence, "by_hour": kept, "before": before, "count": before + sum(kept.values())}
