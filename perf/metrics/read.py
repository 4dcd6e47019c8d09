"""Reads the statistics back: sums over a window, and a series for charts. All processes count into the same keys."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perf.gate import keys
from perf.gate.labels import open_label
from perf.gate.store import store
from perf.metrics.latency import percentile

WINDOWS = {"5m": 5, "1h": 60, "24h": 24 * 60}  # minutes
MOST_POINTS = 60
_BATCH = 240


@dataclass(slots=True)
class Statistics:
    """Counts of one window, by field; ``points`` are the same counts over time, oldest first."""

    minutes: int
    counts: Counter[str]
    points: list[tuple[int, Counter[str]]] = field(default_factory=list)

    @property
    def minutes_per_point(self) -> int:
        """How many minutes one of ``points`` stands for."""
        return max(1, self.minutes // MOST_POINTS)

    def sum(self, prefix: str, suffix: str = "") -> int:
        """The sum of all fields that begin and end so."""
        return sum(n for name, n in self.counts.items() if name.startswith(prefix) and name.endswith(suffix))

    def by_name(self, prefix: str) -> dict[str, Counter[str]]:
        """As the function of that name, of the whole window."""
        return by_name(self.counts, prefix)


def read_statistics(window: str, now: float | None = None) -> Statistics:
    """Read a window of `WINDOWS` that ends at Unix time ``now``. Raises `StoreUnavailable`."""
    return read_windows([window], now)[window]


def read_windows(windows: Iterable[str], now: float | None = None) -> dict[str, Statistics]:
    """Read several windows of `WINDOWS` that end at Unix time ``now``, each minute once. Raises `StoreUnavailable`."""
    last = int((time.time() if now is None else now) // 60)
    found = {window: Statistics(WINDOWS[window], Counter()) for window in windows}
    first = last - max(statistics.minutes for statistics in found.values()) + 1
    for start in range(first, last + 1, _BATCH):
        batch = range(start, min(start + _BATCH, last + 1))
        for minute, counts in zip(batch, _read_minutes(batch), strict=True):
            for statistics in found.values():
                _add_minute(statistics, minute, counts, last)
    return found


def _add_minute(statistics: Statistics, minute: int, counts: Counter[str], last: int) -> None:
    """Add a minute's counts, if it is one of the window's, which ends with the minute ``last``."""
    place = minute - (last - statistics.minutes + 1)
    if place < 0:
        return
    statistics.counts.update(counts)
    point = minute - place % statistics.minutes_per_point
    if not statistics.points or statistics.points[-1][0] != point * 60:
        statistics.points.append((point * 60, Counter()))
    statistics.points[-1][1].update(counts)


def ranking_begins(window: str, now: float | None = None) -> int:
    """The Unix time from which `read_ranking` counts: the ranking is kept by the hour."""
    return (int((time.time() if now is None else now) // 3600) - _hours(window)) * 3600


def read_ranking(window: str, most: int = 10, now: float | None = None) -> list[tuple[str, int]]:
    """The clients blocked most often, with how often; whole hours. Raises `StoreUnavailable`."""
    hours = _hours(window)
    last = int((time.time() if now is None else now) // 3600)

    def ask(client: Any) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for hour in range(last - hours, last + 1):
            pipeline.zrevrange(f"{keys.ranking()}{hour}", 0, 5 * most, withscores=True)
        answer: list[Any] = pipeline.execute()
        return answer

    totals: Counter[str] = Counter()
    for members in store.ask(ask):
        for sealed, score in members:
            totals[open_label(sealed.decode())] += int(score)
    return totals.most_common(most)


def latencies(counts: Mapping[str, int]) -> dict[str, dict[str, float | int | None]]:
    """Percentiles per route, in milliseconds."""
    return {route: _percentiles(histogram) for route, histogram in sorted(_histograms(counts).items())}


def latency(counts: Mapping[str, int]) -> dict[str, float | int | None]:
    """Percentiles of all routes together, in milliseconds."""
    return _percentiles(sum(_histograms(counts).values(), Counter()))


def _histograms(counts: Mapping[str, int]) -> dict[str, Counter[int]]:
    """By route, requests by the number of their latency's bucket."""
    buckets: dict[str, Counter[int]] = defaultdict(Counter)
    for route, by_bucket in by_name(counts, "latency").items():
        for bucket, count in by_bucket.items():
            buckets[route][int(bucket)] += count
    return buckets


def _percentiles(histogram: Mapping[int, int]) -> dict[str, float | int | None]:
    shares = {name: _milliseconds(percentile(histogram, share)) for name, share in _PERCENTILES.items()}
    return {"count": sum(histogram.values()), **shares}


def _hours(window: str) -> int:
    return max(1, WINDOWS[window] // 60)


_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _read_minutes(minutes: range) -> list[Counter[str]]:
    def ask(client: Any) -> list[dict[bytes, bytes]]:
        pipeline = client.pipeline(transaction=False)
        for minute in minutes:
            pipeline.hgetall(f"{keys.statistics()}{minute}")
        answer: list[dict[bytes, bytes]] = pipeline.execute()
        return answer

    return [taken_apart(fields) for fields in store.ask(ask)]


def taken_apart(fields: Mapping[bytes, bytes]) -> Counter[str]:
    """One minute's counts; what was decided about a request is one field there (see statistics.lua), several here."""
    counts: Counter[str] = Counter()
    for raw_name, raw_count in fields.items():
        name, count = raw_name.decode(), int(raw_count)
        request, bar, decided = name.partition("|")
        if not bar:
            counts[name] += count
            continue
        limits, _, cache = decided.partition("|")
        counts["rule:blocked" if request == "rule" else f"request:{request}"] += count
        for limit in filter(None, limits.split(",")):
            rule, _, outcome = limit.rpartition("=")
            counts[f"limit:{rule}:{outcome}"] += count
        if cache:
            rule, _, state = cache.rpartition("=")
            counts[f"cache:{rule}:{state}"] += count
    return counts


def by_name(counts: Mapping[str, int], prefix: str) -> dict[str, Counter[str]]:
    """Fields ``<prefix>:<name>:<event>`` as name -> event -> count; names may contain colons."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, count in counts.items():
        kind, _, rest = name.partition(":")
        if kind == prefix:
            subject, _, event = rest.rpartition(":")
            found[subject][event] += count
    return dict(found)
