"""``/api/dashboard``: the posture computed afresh, or from the cache."""

from __future__ import annotations

import logging
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.jobs import QueueFull, submit
from perf.jobs.errors import JobTypeDisabled
from securenet.dashboard.posture import posture
from securenet.logs.jobs import LOG_ANALYSIS

log = logging.getLogger(__name__)

# Seconds after which an analysis counts as old, and looking at the cached dashboard asks for another.
ANALYSIS_TTL = 300


class DashboardView(APIView):
    """The security posture, computed for this request."""

    @extend_schema(responses={200: dict[str, Any]})
    def get(self, request: Request) -> Response:
        return Response(posture())


class CachedDashboardView(APIView):
    """The same from the cache; keeps the log analysis behind it young."""

    @extend_schema(responses={200: dict[str, Any]})
    @cache_api_response(tags=["dashboard", "findings", "assets", "scans"])
    def get(self, request: Request) -> Response:
        data = posture()
        last = data["last_analysis"]
        if last is None or last["age"] > ANALYSIS_TTL:
            refresh_analysis()
        return Response(data)


def refresh_analysis() -> None:
    """Submit an analysis, unless one waits or runs; a full queue must not keep anybody from looking."""
    try:
        submit(LOG_ANALYSIS, {}, unique=True)
    except (QueueFull, JobTypeDisabled) as refusal:
        log.warning("The log analysis is old (%s): %s", timezone.now().isoformat(), refusal)
