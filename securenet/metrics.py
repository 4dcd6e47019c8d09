"""``/metrics`` for Prometheus: read from Redis and the database at each scrape, so right over all processes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from perf.api.views import is_admin
from perf.gate.callers import client_address
from perf.metrics.prometheus import PerfCollector
from perf.problems import Problem, problem_response
from securenet.security.models import Finding


class FindingsCollector(Collector):
    """Findings by severity and state; none while the database is away."""

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("securenet_findings", "Findings in the database.", labels=["severity", "state"])
        counted = Finding.objects.order_by().values_list("severity", "state").annotate(Count("pk"))
        try:
            for severity, state, count in counted:
                family.add_metric([severity, state], count)
        except DatabaseError:
            return  # as PerfCollector tells
        yield family


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
    registry.register(PerfCollector("securenet"))
    registry.register(FindingsCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
