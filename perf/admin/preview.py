"""The page behind "Preview" on a policy's form: what the edited, unsaved policy would have done to recent traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from perf.gate.store import StoreUnavailable
from perf.metrics.preview import MOST_VISITS, Point, Preview, preview, uncollected
from perf.metrics.traffic import read_traffic
from perf.models import CachePolicy, RateLimitPolicy
from perf.policies.compile import load_snapshot, snapshot_with

BUTTON = "_preview"
WIDTH, HEIGHT = 720, 140


@dataclass(frozen=True, slots=True)
class Bar:
    """Blocked requests of a stretch of time, now and as edited, in units of the chart's view box."""

    label: str
    x: float
    width: float
    after_x: float
    before_y: float
    before_height: float
    after_y: float
    after_height: float
    point: Point


@dataclass(frozen=True, slots=True)
class Chart:
    """Pairs of bars over time, the tallest as high as the chart."""

    bars: tuple[Bar, ...]
    largest: int
    width: int = WIDTH
    height: int = HEIGHT


def is_asked_for(request: HttpRequest) -> bool:
    """Whether the form was sent with its button "Preview"."""
    return request.method == "POST" and is_button_in(request.POST)


def is_button_in(data: Mapping[str, Any]) -> bool:
    """Whether a form's data were sent with its button "Preview"."""
    return BUTTON in data


def preview_response(
    model_admin: ModelAdmin, request: HttpRequest, edited: CachePolicy | RateLimitPolicy
) -> HttpResponse:
    """The preview of a policy as it stands in a valid form; nothing is saved."""
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Preview of %s") % edited.name,
        "opts": model_admin.opts,
        "edited": edited,
        "is_new": edited.pk is None,
        "is_cache": isinstance(edited, CachePolicy),
        "most": MOST_VISITS,
    }
    try:
        with uncollected():
            traffic = read_traffic(MOST_VISITS)
        answer = preview(traffic, load_snapshot(), snapshot_with(edited))
    except StoreUnavailable:
        return TemplateResponse(request, "admin/perf/preview.html", {**context, "is_unavailable": True}, status=503)
    context |= {
        "preview": answer,
        "chart": blocked_chart(answer.points),
        "begins": _time(answer.begins),
        "ends": _time(answer.ends),
        "verdict": in_words(answer),
    }
    return TemplateResponse(request, "admin/perf/preview.html", context)


def in_words(answer: Preview) -> str:
    """The answer in a sentence."""
    if not answer.requests:
        return _("There is no recorded traffic to judge by.")
    parts = []
    if answer.newly_blocked:
        parts.append(
            ngettext(
                "%(requests)d more requests would be blocked, all of one client.",
                "%(requests)d more requests of %(clients)d clients would be blocked.",
                answer.clients_newly_blocked,
            )
            % {"requests": answer.newly_blocked, "clients": answer.clients_newly_blocked}
        )
    if answer.newly_allowed:
        parts.append(
            ngettext(
                "%(requests)d requests of one client would be let through that are blocked now.",
                "%(requests)d requests of %(clients)d clients would be let through that are blocked now.",
                answer.clients_newly_allowed,
            )
            % {"requests": answer.newly_allowed, "clients": answer.clients_newly_allowed}
        )
    if not answer.changes_limits:
        parts.append(_("No request would be blocked or let through differently."))
    saved = answer.origin_seconds_saved
    if round(saved, 1):
        words = _("%.1f seconds of computing would be saved.") if saved > 0 else _("%.1f more seconds of computing.")
        parts.append(words % abs(saved))
    return " ".join(parts)


def blocked_chart(points: Sequence[Point]) -> Chart:
    """Lay out blocked requests over time."""
    largest = max((max(point.blocked_before, point.blocked_after) for point in points), default=0)
    step = WIDTH / max(1, len(points))

    def height(blocked: int) -> float:
        return round(HEIGHT * blocked / largest, 1) if largest else 0.0

    bars = tuple(
        Bar(
            label=f"{_time(point.at):%H:%M:%S}",
            x=round(number * step, 1),
            width=round(step / 2 - 1, 1),
            after_x=round((number + 0.5) * step, 1),
            before_y=HEIGHT - height(point.blocked_before),
            before_height=height(point.blocked_before),
            after_y=HEIGHT - height(point.blocked_after),
            after_height=height(point.blocked_after),
            point=point,
        )
        for number, point in enumerate(points)
    )
    return Chart(bars, largest)


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
