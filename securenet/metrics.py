"""``/metrics`` for Prometheus: read from Redis and the database at each scrape, so right over all processes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from perf.api.views import is_admin
from perf.gate.callers import client_address
from perf.metrics.report import performance_report
from perf.problems import Problem, problem_response


class SecureNetCollector(Collector):
    """Turns one performance report into metric families. Counts are those of the last hour."""

    def collect(self) -> Iterator[Metric]:
        report = performance_report("1h")
        yield from _cache(report["api_cache"])
        yield from _limits(report["rate_limiting"])
        jobs = report["background_jobs"]
        by_state = GaugeMetricFamily("securenet_jobs", "Jobs in the database.", labels=["type", "state"])
        for job_type, counts in jobs["by_type"].items():
            for state, count in counts.items():
                by_state.add_metric([job_type, state], count)
        yield by_state
        yield GaugeMetricFamily("securenet_job_capacity", "Jobs that may wait or run.", jobs["capacity"])
        yield GaugeMetricFamily("securenet_workers", "Workers with a heartbeat.", jobs["workers"])
        store = report["store"]
        yield GaugeMetricFamily("securenet_store_up", "1 while Redis answers.", int(store["state"] == "up"))
        yield GaugeMetricFamily("securenet_policy_revision", "Newest committed policy revision.", report["revision"])
        latency = GaugeMetricFamily(
            "securenet_latency_seconds", "Latency of the last hour.", labels=["route", "quantile"]
        )
        for route, values in report["latency"].items():
            for name, quantile in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")):
                latency.add_metric([route, quantile], values[name] / 1000)
        yield latency


def metrics(request: HttpRequest) -> HttpResponse:
    """The scrape page; open to the networks of METRICS_NETWORKS and to admins."""
    address = client_address(request)
    networks = [ipaddress.ip_network(text) for text in settings.METRICS_NETWORKS]
    is_near = any(address.version == network.version and address in network for network in networks)
    if not is_near and not (request.user.is_authenticated and is_admin(request.user)):
        return problem_response(
            Problem(403, "Forbidden", "Metrics are open to the networks in METRICS_NETWORKS and to admins."),
            request,
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SecureNetCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _cache(cache: dict) -> Iterator[Metric]:
    lookups = GaugeMetricFamily(
        "securenet_cache_lookups", "Cache look-ups of the last hour.", labels=["policy", "result"]
    )
    for policy, counts in cache["by_policy"].items():
        for result in ("hits", "misses", "stale"):
            lookups.add_metric([policy, result], counts[result])
    yield lookups


def _limits(limits: dict) -> Iterator[Metric]:
    decisions = GaugeMetricFamily(
        "securenet_limit_decisions", "Limit decisions of the last hour.", labels=["policy", "decision"]
    )
    for policy, counts in limits["by_policy"].items():
        for decision, count in counts.items():
            decisions.add_metric([policy, decision], count)
    yield decisions
    yield GaugeMetricFamily("securenet_requests", "Requests the gate decided in the last hour.", limits["total"])
