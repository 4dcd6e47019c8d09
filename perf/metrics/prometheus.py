"""What Prometheus scrapes, for ``prometheus_client``: counters and histograms over all processes, gauges of the moment.

Everything is read from Redis and the database at the scrape, so it does not matter which process answers it, how many
there are, or that jobs run in processes of their own. While Redis is away, what it counts is left out, not zero.

Labels are bounded: names of policies, views and job types, and words of this module.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import DatabaseError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from perf.gate import keys
from perf.gate.keeper import flush_notes
from perf.gate.store import StoreUnavailable, store
from perf.jobs.registry import job_type_names
from perf.metrics.job_counts import BOUNDS
from perf.metrics.latency import LAST_BUCKET, upper_bound
from perf.metrics.read import by_name
from perf.metrics.report import job_counts, store_state
from perf.metrics.totals import read_totals
from perf.models import CachePolicy, JobEvent, RateLimitPolicy
from perf.policies.revisions import head_number

log = logging.getLogger(__name__)

# Every third bucket of the statistics: each nearly twice as long as the one before.
LATENCY_BUCKETS = range(0, LAST_BUCKET + 1, 3)
_JOB_EVENTS = [kind.value for kind in JobEvent.Kind if kind != JobEvent.Kind.MESSAGE]
_RECOVERIES = ("taken_back", "published_again")
_OUTCOMES = {"request:allowed": "allowed", "request:blocked": "limited", "rule:blocked": "denied"}


class PerfCollector(Collector):
    """The metric families of perf, their names after ``namespace``."""

    def __init__(self, namespace: str = "perf") -> None:
        self._namespace = namespace

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        yield from self._store()
        names: dict[Any, dict[str, str]] = {}
        is_up = True
        try:
            names = {model: _names(model) for model in (RateLimitPolicy, CachePolicy)}
            yield self._gauge("policy_revision", "The newest committed revision of all policies.", head_number())
            yield from self._jobs()
        except DatabaseError as error:
            log.warning("The database could not be asked for metrics: %s", error)
            is_up = False
        yield self._gauge("database_up", "1 while the database answers.", int(is_up))
        try:
            flush_notes()
            totals = read_totals()
        except StoreUnavailable:
            return
        yield from self._gate(totals, names)
        yield from self._latency(totals)
        yield from self._job_history(totals)

    def _store(self) -> Iterator[Metric]:
        state = store_state()
        yield self._gauge(
            "store_up", "0 while this process's breaker is open: it does without Redis.", int(state["state"] == "up")
        )
        yield self._gauge("store_round_trip_seconds", "Of this process's exchanges.", state["round_trip_ms"] / 1000)
        try:
            published = store.ask(lambda client: client.get(keys.revision()))
            yield self._gauge("policy_revision_published", "The revision that Redis knows.", int(published or 0))
        except StoreUnavailable:
            return

    def _jobs(self) -> Iterator[Metric]:
        jobs = job_counts()
        by_state = GaugeMetricFamily(self._name("jobs"), "Jobs in the database.", labels=["type", "state"])
        for job_type, counts in jobs["by_type"].items():
            for state, count in counts.items():
                by_state.add_metric([job_type, state], count)
        yield by_state
        yield self._gauge("job_queue_size", "Jobs that wait for a worker.", jobs["queue_size"])
        yield self._gauge("job_capacity", "Jobs that may wait or run.", jobs["capacity"])
        yield self._gauge("workers", "Workers with a heartbeat.", jobs["workers"])

    def _gate(self, totals: Counter[str], names: Mapping[Any, Mapping[str, str]]) -> Iterator[Metric]:
        yield self._counter(
            "requests",
            "Requests that policies decided about.",
            ["outcome"],
            [([outcome], totals[field]) for field, outcome in _OUTCOMES.items()],
        )
        limits = _named(names.get(RateLimitPolicy, {}), by_name(totals, "limit"))
        yield self._counter(
            "limit_decisions",
            "Decisions of rate-limit policies.",
            ["policy", "decision"],
            [([name, event], count) for name, events in limits.items() for event, count in events.items()],
        )
        caches = _named(names.get(CachePolicy, {}), by_name(totals, "cache"))
        yield self._counter(
            "cache_lookups",
            "What the cache had, by cache policy.",
            ["policy", "result"],
            [([name, event], count) for name, events in caches.items() for event, count in events.items()],
        )

    def _latency(self, totals: Counter[str]) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            self._name("request_duration_seconds"), "Whole responses, by view.", labels=["route"]
        )
        sums = by_name(totals, "latency_sum")
        for route, buckets in by_name(totals, "latency").items():
            counts = {int(number): count for number, count in buckets.items()}
            bounds = [(upper_bound(number), number) for number in LATENCY_BUCKETS[:-1]]
            family.add_metric([route], _cumulative(counts, bounds), sums.get(route, Counter())["us"] / 1e6)
        yield family

    def _job_history(self, totals: Counter[str]) -> Iterator[Metric]:
        # What can happen is there from the beginning, as zero: a rate needs a sample before the first event.
        jobs = {name: Counter(dict.fromkeys(_JOB_EVENTS, 0)) for name in job_type_names()}
        for name, events in by_name(totals, "job").items():
            jobs.setdefault(name, Counter()).update(events)
        recoveries = by_name(totals, "recovery")
        yield self._counter(
            "job_events",
            "What happened to jobs.",
            ["type", "event"],
            [([name, event], count) for name, events in jobs.items() for event, count in events.items()],
        )
        yield self._counter(
            "job_recoveries",
            "What the recovery did: jobs taken back from dead workers, messages published again.",
            ["what"],
            [([what], recoveries.get(what, Counter())["done"]) for what in _RECOVERIES],
        )
        for kind, name, text in (
            ("jobwait", "job_wait_seconds", "From submission to the first start."),
            ("jobrun", "job_run_seconds", "From the first start to the end."),
        ):
            family = HistogramMetricFamily(self._name(name), text, labels=["type"])
            sums = by_name(totals, f"{kind}_sum")
            for job_type, buckets in by_name(totals, kind).items():
                counts = {int(number): count for number, count in buckets.items()}
                bounds = [(bound, number) for number, bound in enumerate(BOUNDS)]
                family.add_metric([job_type], _cumulative(counts, bounds), sums.get(job_type, Counter())["us"] / 1e6)
            yield family

    def _name(self, name: str) -> str:
        return f"{self._namespace}_{name}"

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        return GaugeMetricFamily(self._name(name), text, value)

    def _counter(
        self, name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]
    ) -> Metric:
        family = CounterMetricFamily(self._name(name), text, labels=labels)
        for values, count in samples:
            family.add_metric(values, count)
        return family


def _cumulative(counts: Mapping[int, int], bounds: Sequence[tuple[float, int]]) -> list[tuple[str, float]]:
    """Pairs of an upper bound and how many are not above it, as a histogram has them; the last is infinite."""
    found: list[tuple[str, float]] = [
        (f"{bound:.6g}", float(sum(count for number, count in counts.items() if number <= last)))
        for bound, last in bounds
    ]
    return [*found, ("+Inf", float(sum(counts.values())))]


def _names(model: Any) -> dict[str, str]:
    return {str(pk): name for pk, name in model.objects.values_list("pk", "name")}


def _named(names: Mapping[str, str], events: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """By the policy's name; by its key where it is gone, and where a limit or a TTL stands in code."""
    found: dict[str, Counter[str]] = {}
    for rule, counts in events.items():
        found.setdefault(names.get(rule, rule) or "none", Counter()).update(counts)
    return found
