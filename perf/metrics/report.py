"""The answer of ``GET /api/performance/metrics``: statistics from Redis, jobs from the database, side by side."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import django_rq
from django.db.models import Count
from django.utils import timezone
from redis.exceptions import RedisError
from rq import Worker

from perf.gate.keeper import flush_notes
from perf.gate.store import StoreUnavailable, store
from perf.jobs.policy import total_capacity
from perf.metrics.outcomes import CacheCounts, RequestCounts
from perf.metrics.read import Statistics, latencies, read_ranking, read_statistics
from perf.models import CachePolicy, Job, RateLimitPolicy
from perf.policies.revisions import head_number

log = logging.getLogger(__name__)


def performance_report(window: str) -> dict[str, Any]:
    """Everything the metrics endpoint tells about ``window`` (a key of `perf.metrics.read.WINDOWS`)."""
    try:
        flush_notes()
        statistics = read_statistics(window)
        ranking = read_ranking(window)
    except StoreUnavailable:
        statistics, ranking = Statistics(0, Counter()), []
    return {
        "window": window,
        "api_cache": _cache(statistics),
        "rate_limiting": _limits(statistics, ranking),
        "background_jobs": job_counts(),
        "store": store_state(),
        "latency": latencies(statistics.counts),
        "series": [_point(at, counts) for at, counts in statistics.points],
        "revision": head_number(),
        "timestamp": timezone.now(),
    }


def job_counts() -> dict[str, Any]:
    """Jobs as the database has them now."""
    by_type: dict[str, dict[str, int]] = {}
    totals = {status.value: 0 for status in Job.Status}
    for type_, status, count in Job.objects.order_by().values_list("type", "status").annotate(Count("pk")):
        by_type.setdefault(type_, {value.value: 0 for value in Job.Status})[status] = count
        totals[status] += count
    return {
        **totals,
        "queue_size": totals[Job.Status.SUBMITTED.value],
        "capacity": total_capacity(),
        "by_type": by_type,
        "workers": count_workers(),
    }


def count_workers() -> int:
    """Workers whose heartbeat Redis has; 0 where it cannot be asked."""
    if store.is_open:
        return 0
    try:
        return int(Worker.count(connection=django_rq.get_connection()))
    except (RedisError, OSError) as error:
        log.info("Workers could not be counted: %s", error)
        return 0


def store_state() -> dict[str, Any]:
    """Redis as this process sees it."""
    return {
        "state": "down" if store.is_open else "up",
        "reason": store.reason,
        "round_trip_ms": round(store.round_trip_seconds * 1000, 3),
    }


def _cache(statistics: Statistics) -> dict[str, Any]:
    names = {str(pk): name for pk, name in CachePolicy.objects.values_list("pk", "name")}
    by_policy = {
        names.get(rule, rule): _cache_counts(events) for rule, events in statistics.by_name("cache").items() if rule
    }
    total: Counter[str] = Counter()
    for events in statistics.by_name("cache").values():
        total.update(events)
    return {**_cache_counts(total), "by_policy": by_policy}


def _cache_counts(events: Counter[str]) -> dict[str, Any]:
    counts = CacheCounts.of(events)
    return {
        "hits": counts.fresh,
        "misses": counts.misses,
        "stale": counts.stale,
        "total": counts.total,
        "hit_rate": round(counts.hit_rate or 0.0, 4),
    }


def _limits(statistics: Statistics, ranking: list[tuple[str, int]]) -> dict[str, Any]:
    names = {str(pk): name for pk, name in RateLimitPolicy.objects.values_list("pk", "name")}
    allowed, blocked = statistics.counts["request:allowed"], statistics.counts["request:blocked"]
    by_rule = statistics.counts["rule:blocked"]
    total = allowed + blocked + by_rule
    by_policy = {
        names.get(rule, rule): {event: events[event] for event in ("allowed", "blocked", "observed")}
        for rule, events in statistics.by_name("limit").items()
    }
    return {
        "total": total,
        "blocked": blocked + by_rule,
        "observed": statistics.sum("limit:", ":observed"),
        "block_rate": round((blocked + by_rule) / total, 4) if total else 0.0,
        "by_policy": by_policy,
        "top_blocked_clients": [{"client": client, "blocked": count} for client, count in ranking],
    }


def _point(at: int, counts: Counter[str]) -> dict[str, int]:
    requests = RequestCounts.of(counts)
    return {
        "time": at,
        "requests": requests.total,
        "blocked": requests.refused,
        "hits": requests.cache.hits,
        "misses": requests.cache.misses,
    }
