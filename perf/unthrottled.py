"""Requests that are refused before DRF asks its throttles: bad credentials, missing permissions.

DRF throttles after authentication and permissions, so guessing would be free. Such a request is counted here, and
answered with 429 once the limit is used up.
"""

from __future__ import annotations

from typing import Any

from rest_framework.views import APIView

from perf.gate.callers import caller_of
from perf.gate.outcome import IdentityChanged
from perf.problems import Problem
from perf.records import django_request, record_of
from perf.refusals import refusal
from perf.throttling import ask_gate, is_limited


def count_refused_request(request: Any, view: APIView) -> Problem | None:
    """Ask the gate for a request that no throttle has seen; returns the problem if a limit refuses it as well."""
    record = record_of(request)
    if record.was_throttled and record.outcome is not None:
        return refusal(record.outcome.admission)
    if not is_limited(view):
        return None
    user = getattr(request, "_user", None)  # request.user would authenticate once more
    outcome = ask_gate(request, view, caller_of(django_request(request), user))
    if isinstance(outcome, IdentityChanged):
        return None
    return refusal(outcome.admission)
