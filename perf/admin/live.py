"""The page "Live": what the policies do right now. It is complete as it is sent; a script asks for its inside again.

It belongs to no model, so it is put in front of the admin site's own addresses. Each part is for those who may see the
rows it is about. Where Redis is away it says so, and shows what the database knows.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from perf.admin.blocked_clients import blocked_clients
from perf.admin.charts import Series, bars_over_time
from perf.admin.trial_words import may_see
from perf.gate.keeper import flush_notes
from perf.gate.store import StoreUnavailable
from perf.jobs.overview import overview
from perf.metrics.outcomes import CacheCounts, LimitCounts, RequestCounts
from perf.metrics.read import Statistics, latencies, latency, ranking_begins, read_ranking, read_statistics
from perf.metrics.report import count_workers, store_state
from perf.models import AccessRule, CachePolicy, Job, RateLimitPolicy, Revision
from perf.policies.revisions import head_number
from perf.rate_limiting import limits_in_code

log = logging.getLogger(__name__)

WINDOW_NAMES = {
    "5m": gettext_lazy("5 minutes"),
    "1h": gettext_lazy("1 hour"),
    "24h": gettext_lazy("24 hours"),
}
DEFAULT_WINDOW = "1h"
# Seconds between two questions of the script: a whole day is a lot to read for somebody who only looks.
REFRESH_SECONDS = {"5m": 5, "1h": 5, "24h": 30}
MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy and what it decided; ``counts`` is None where Redis does not say. No ``url``: there is no page of it."""

    key: str
    name: str
    url: str
    on_store_error: str
    counts: CacheCounts | LimitCounts | None


def live_response(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The page, or with ``?fragment=1`` its inside; for who may see cache or rate-limit policies."""
    if not (may_see(request, RateLimitPolicy) or may_see(request, CachePolicy)):
        raise PermissionDenied
    window = request.GET.get("window", "")
    window = window if window in WINDOW_NAMES else DEFAULT_WINDOW
    context: dict[str, Any] = {
        "window": window,
        "window_name": WINDOW_NAMES[window],
        "updated": timezone.now(),
        "store": store_state,  # asked when it is shown, after the questions that tell
        **_traffic(request, window),
        **_jobs(request),
        "revision": head_number(),
        "sees_revisions": may_see(request, Revision),
    }
    template = "admin/perf/live_numbers.html"
    if not request.GET.get("fragment"):
        template = "admin/perf/live.html"
        context |= {
            **site.each_context(request),
            "title": _("Live"),
            "opts": RateLimitPolicy._meta,
            "windows": WINDOW_NAMES.items(),
            "refresh_seconds": REFRESH_SECONDS[window],
        }
    request.current_app = site.name
    return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})


def _traffic(request: HttpRequest, window: str) -> dict[str, Any]:
    """What the statistics say; without Redis the policies there are."""
    sees_clients = may_see(request, AccessRule)
    try:
        flush_notes()
        statistics = read_statistics(window)
        ranking = read_ranking(window) if sees_clients else []
    except StoreUnavailable as reason:
        log.info("The live page is shown without statistics: %s", reason)
        return {"policies": _tables(request, None), "is_store_away": True}
    since = datetime.fromtimestamp(ranking_begins(window), UTC)
    routes = sorted(latencies(statistics.counts).items(), key=lambda row: (-(row[1]["count"] or 0), row[0]))
    return {
        "requests": RequestCounts.of(statistics.counts),
        "latency": latency(statistics.counts),
        "charts": [*_charts(statistics)],
        "policies": _tables(request, statistics),
        "routes": routes[:MOST_ROWS],
        "more_routes": max(0, len(routes) - MOST_ROWS),
        "sees_clients": sees_clients,
        "clients_since": since,
        "clients": blocked_clients(ranking, request.user.has_perm("perf.add_accessrule")),
    }


def _charts(statistics: Statistics) -> Sequence[SafeString]:
    times = point_times(statistics)
    points = [RequestCounts.of(counts) for _at, counts in statistics.points]
    return (
        bars_over_time(
            "live-requests",
            _("Requests"),
            times,
            [
                Series(_("let through"), [point.allowed for point in points], "good"),
                Series(_("blocked"), [point.refused for point in points], "bad"),
            ],
        ),
        bars_over_time(
            "live-cache",
            _("Cache"),
            times,
            [
                Series(_("hits"), [point.cache.hits for point in points], "good"),
                Series(_("misses"), [point.cache.misses for point in points], "quiet"),
            ],
        ),
    )


def point_times(statistics: Statistics) -> list[str]:
    """How a chart calls the points of a window: the time of day at which each begins."""
    return [time_of_day(datetime.fromtimestamp(at, UTC)) for at, _counts in statistics.points]


def time_of_day(moment: datetime) -> str:
    """``14:05``, in the time zone that is shown."""
    return f"{timezone.localtime(moment):%H:%M}"


def _tables(request: HttpRequest, statistics: Statistics | None) -> dict[str, dict[str, Any]]:
    """By kind, the policies that may be seen, those that decided most first."""
    kinds: tuple[tuple[str, Any, Callable[[Counter[str]], Any]], ...] = (
        ("limit", RateLimitPolicy, LimitCounts.of),
        ("cache", CachePolicy, CacheCounts.of),
    )
    tables = {}
    for kind, model, counted in kinds:
        if may_see(request, model):
            rows = _rows(model, None if statistics is None else statistics.by_name(kind), counted)
            tables[kind] = {"rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS)}
    return tables


def _rows(
    model: Any, events: dict[str, Counter[str]] | None, counted: Callable[[Counter[str]], Any]
) -> list[PolicyRow]:
    """Enabled policies, and whatever else has decided something; policies may have been deleted since."""
    policies = {str(policy.pk): policy for policy in model.objects.all()}
    enabled = {key for key, policy in policies.items() if policy.enabled}
    rows = [
        _row(model, key, policies.get(key), None if events is None else counted(events.get(key, Counter())))
        for key in enabled | set(events or ())
    ]
    return sorted(rows, key=lambda row: (-row.counts.total if row.counts else 0, row.name))


def _row(model: Any, key: str, policy: Any, counts: CacheCounts | LimitCounts | None) -> PolicyRow:
    if policy is None:
        return PolicyRow(key, _unknown_name(key), "", "", counts)
    url = reverse(f"admin:perf_{model._meta.model_name}_change", args=[key])
    when_away = str(policy.get_on_store_error_display()) if model is RateLimitPolicy else ""
    return PolicyRow(key, policy.name, url, when_away, counts)


def _unknown_name(key: str) -> str:
    """What decides without being a row, or was one."""
    if key in limits_in_code:
        return _("%s (in code)") % limits_in_code[key].name
    if key.isdecimal():
        return _("%s (deleted)") % key
    return _("%s (in code)") % key if key else _("no policy: terms in code")


def _jobs(request: HttpRequest) -> dict[str, Any]:
    """What the database knows of jobs, for those who may see them."""
    if not may_see(request, Job):
        return {"sees_jobs": False}
    running = list(Job.objects.filter(status=Job.Status.PROCESSING).order_by("started_at")[: MOST_ROWS + 1])
    all_types, *types = overview()
    return {
        "sees_jobs": True,
        "queue": all_types,
        "places_taken": all_types.waiting + all_types.running,
        "types": types,
        "workers": count_workers(),
        "running": running[:MOST_ROWS],
        "are_more_running": len(running) > MOST_ROWS,
        "now": timezone.now(),
    }


def add_page(site: AdminSite) -> None:
    """Put the page at ``perf/live/`` of ``site``."""
    get_own_urls = site.get_urls

    def page(request: HttpRequest) -> HttpResponse:
        return live_response(site, request)

    def get_urls() -> list[URLPattern | URLResolver]:
        own = path("perf/live/", site.admin_view(require_safe(page)), name="perf_live")
        return [own, *get_own_urls()]

    site.get_urls = get_urls  # type: ignore[method-assign]


add_page(admin.site)
