"""``/api/dashboard``: the posture computed afresh, or from the cache."""

from __future__ import annotations

import logging
import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.jobs import QueueFull, submit
from perf.jobs.errors import JobTypeDisabled
from securenet.dashboard.posture import posture
from securenet.dashboard.serializers import AnalysisState, DashboardSerializer
from securenet.logs.jobs import LOG_ANALYSIS

log = logging.getLogger(__name__)

# Seconds after which an analysis counts as old, and looking at the cached dashboard asks for another.
ANALYSIS_TTL = 300


class DashboardView(APIView):
    """The security posture, computed for this request."""

    @extend_schema(responses={200: DashboardSerializer})
    def get(self, request: Request) -> Response:
        data = posture()
        state = AnalysisState.DUE if is_due(data["last_analysis"]) else AnalysisState.CURRENT
        return Response({**data, "analysis": {"state": state}})


class CachedDashboardView(APIView):
    """The same from the cache; keeps the log analysis behind it young."""

    @extend_schema(responses={200: DashboardSerializer})
    @cache_api_response(tags=["dashboard", "findings", "assets", "scans", "vulnerabilities"])
    def get(self, request: Request) -> Response:
        data = posture()
        last = data["last_analysis"]
        state = refresh_analysis(last) if is_due(last) else AnalysisState.CURRENT
        return Response({**data, "analysis": {"state": state}})


def is_due(last_analysis: dict[str, Any] | None) -> bool:
    """Say whether the newest analysis is older than its TTL, or there is none."""
    return last_analysis is None or last_analysis["age"] > ANALYSIS_TTL


def refresh_analysis(last_analysis: dict[str, Any] | None) -> AnalysisState:
    """Submit an analysis, unless one waits or runs; a full queue must not keep anybody from looking.

    Whoever looked just before another's analysis was completed comes here after it: the key gives them that same job.
    Should it have failed, the next span of `ANALYSIS_TTL` has another.
    """
    outdated = last_analysis["finished_at"].isoformat() if last_analysis else "none"
    key = f"after {outdated}, {time.time() // ANALYSIS_TTL:.0f}"
    try:
        submit(LOG_ANALYSIS, {}, unique=True, idempotency_key=key)
    except QueueFull as refusal:
        log.warning("The log analysis is old, and another one was not submitted: %s", refusal)
        return AnalysisState.QUEUE_FULL
    except JobTypeDisabled:
        return AnalysisState.DISABLED
    return AnalysisState.SUBMITTED
