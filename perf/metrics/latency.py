"""Latencies as counts in buckets that grow by a quarter: percentiles to within 12 % from a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

_SMALLEST = 0.0001  # seconds
_GROWTH = 1.25
_LOG_GROWTH = math.log(_GROWTH)
LAST_BUCKET = 60


def bucket_of(seconds: float) -> int:
    """The number of the bucket a latency falls into."""
    if seconds <= _SMALLEST:
        return 0
    return min(LAST_BUCKET, math.ceil(math.log(seconds / _SMALLEST) / _LOG_GROWTH))


def upper_bound(bucket: int) -> float:
    """The longest latency of a bucket, in seconds."""
    return _SMALLEST * _GROWTH**bucket


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The latency in seconds that ``share`` (0 to 1) of the requests stayed below; None without requests."""
    total = sum(counts.values())
    if not total:
        return None
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= share * total:
            low = upper_bound(bucket - 1) if bucket else 0.0
            return (low + upper_bound(bucket)) / 2
    return upper_bound(LAST_BUCKET)
