"""What a policy did lately, for its own page: the last hour and the last day, and a chart of the day.

What it did of requests is counted in Redis; without it the page says so. Jobs are rows, and are counted there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Model, Q
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from perf.admin.charts import Series, Style, bars_over_time
from perf.admin.live import point_times, time_of_day
from perf.gate.keeper import flush_notes
from perf.gate.store import StoreUnavailable
from perf.metrics.outcomes import CacheCounts, LimitCounts
from perf.metrics.read import read_windows
from perf.models import CachePolicy, Job, JobPolicy, RateLimitPolicy

log = logging.getLogger(__name__)

CHART = "effect-chart"
_DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Effect:
    """Rows of names, the last hour's and the last day's figures; ``note`` where there is something to say of them."""

    rows: Sequence[tuple[str, str, str]] = ()
    chart: SafeString | None = None
    note: str = ""


def effect_of(model: type[Model], object_id: str | None) -> Callable[[], Effect | None]:
    """Asks when it is called, since a form that is sent and redirects shows nothing of it.

    Gives None for a policy that is new, unknown, or of a kind of which nothing is counted.
    """

    def read() -> Effect | None:
        if not object_id or not object_id.isdecimal():
            return None
        policy: Any = model._default_manager.filter(pk=int(object_id)).first()
        match policy:
            case CachePolicy():
                return _of_requests("cache", policy.pk, CacheCounts.of, _cache_figures, _CACHE_SERIES)
            case RateLimitPolicy():
                return _of_requests("limit", policy.pk, LimitCounts.of, _limit_figures, _LIMIT_SERIES)
            case JobPolicy():
                return _of_jobs(policy)
        return None

    return read


def _cache_figures(counts: CacheCounts) -> list[tuple[str, str]]:
    rate = "–" if counts.hit_percent is None else f"{counts.hit_percent:.1f} %"
    return [
        (_("hits"), str(counts.hits)),
        (_("of them stale"), str(counts.stale)),
        (_("misses"), str(counts.misses)),
        (_("hit rate"), rate),
    ]


def _limit_figures(counts: LimitCounts) -> list[tuple[str, str]]:
    return [
        (_("allowed"), str(counts.allowed)),
        (_("blocked"), str(counts.blocked)),
        (_("observed"), str(counts.observed)),
    ]


# Which of the figures, by name, a chart shows, and how.
_CACHE_SERIES: dict[str, Style] = {"hits": "good", "misses": "quiet"}
_LIMIT_SERIES: dict[str, Style] = {"allowed": "good", "observed": "watched", "blocked": "bad"}
_JOB_SERIES: dict[str, Style] = {"completed": "good", "failed": "bad"}


def _of_requests(
    kind: str,
    pk: int,
    counted: Callable[[Counter[str]], Any],
    figures: Callable[[Any], list[tuple[str, str]]],
    shown: dict[str, Style],
) -> Effect:
    prefix = f"{kind}:{pk}:"

    def counts(fields: Counter[str]) -> Any:
        return counted(Counter({name[len(prefix) :]: n for name, n in fields.items() if name.startswith(prefix)}))

    try:
        flush_notes()
        windows = read_windows(["1h", "24h"])
    except StoreUnavailable as reason:
        log.info("A policy's page is shown without its effect: %s", reason)
        return Effect(note=_("Redis does not answer, so what was counted cannot be shown."))
    hour, day = windows["1h"], windows["24h"]
    pairs = zip(figures(counts(hour.counts)), figures(counts(day.counts)), strict=True)
    points = [counts(fields) for _at, fields in day.points]
    series = [Series(_(name), [getattr(point, name) for point in points], style) for name, style in shown.items()]
    return Effect(
        rows=[(name, of_hour, of_day) for (name, of_hour), (_name, of_day) in pairs],
        chart=bars_over_time(CHART, _("The last 24 hours"), point_times(day), series),
    )


def _of_jobs(policy: JobPolicy) -> Effect:
    now = timezone.now()
    jobs = Job.objects.order_by()
    if policy.name != JobPolicy.ALL_TYPES:
        jobs = jobs.filter(type=policy.name)
    hour, day = (_job_figures(jobs, now - timedelta(hours=hours)) for hours in (1, _DAY_HOURS))
    running = jobs.filter(status=Job.Status.PROCESSING).count()
    waiting = jobs.filter(status=Job.Status.SUBMITTED).count()
    return Effect(
        rows=[(name, str(of_hour), str(day[name])) for name, of_hour in hour.items()],
        chart=_job_chart(jobs, now),
        note=_("Now %(running)d running and %(waiting)d waiting.") % {"running": running, "waiting": waiting},
    )


def _job_figures(jobs: Any, since: datetime) -> dict[str, int]:
    ended = jobs.filter(finished_at__gte=since).aggregate(
        completed=Count("pk", filter=Q(status=Job.Status.COMPLETED)),
        failed=Count("pk", filter=Q(status=Job.Status.FAILED)),
        cancelled=Count("pk", filter=Q(status=Job.Status.CANCELLED)),
    )
    return {
        _("submitted"): jobs.filter(submitted_at__gte=since).count(),
        _("completed"): ended["completed"],
        _("failed"): ended["failed"],
        _("cancelled"): ended["cancelled"],
    }


def _job_chart(jobs: Any, now: datetime) -> SafeString:
    """Per hour, the jobs that ended; the hour that is not over yet is the last."""
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=ago) for ago in reversed(range(_DAY_HOURS))]
    ended = (
        jobs.filter(finished_at__gte=hours[0], status__in=_JOB_SERIES)
        .annotate(hour=TruncHour("finished_at", tzinfo=now.tzinfo))
        .values_list("hour", "status")
        .annotate(n=Count("pk"))
    )
    counts = {(hour, status): n for hour, status, n in ended}
    series = [
        Series(_(status), [counts.get((hour, status), 0) for hour in hours], style)
        for status, style in _JOB_SERIES.items()
    ]
    return bars_over_time(CHART, _("Ended in the last 24 hours"), [time_of_day(hour) for hour in hours], series)
