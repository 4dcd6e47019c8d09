"""DRF's exceptions as problems, and the requests that DRF's throttles never see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled
from rest_framework.views import set_rollback

from perf.problems import Problem, as_problem, problem_response
from perf.records import record_of
from perf.refusals import refusal
from perf.unthrottled import count_refused_request


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's EXCEPTION_HANDLER: every error that DRF knows becomes a problem; others stay for Django's 500.

    A request refused before its throttle was asked (bad credentials, no permission, a format that is not offered) is
    counted here, so that guessing is limited as well. Problems are JSON whatever the view renders.
    """
    problem = as_problem(error)
    if problem is None:
        return None
    request = context["request"]
    if problem.status_code in (401, 403, 406):
        problem = count_refused_request(request, context["view"]) or problem
    elif isinstance(error, Throttled):
        problem = _by_policy(request, error) or problem
    _add_challenge(problem, error)
    set_rollback()
    return problem_response(problem, request)


def _by_policy(request: Any, error: Throttled) -> Problem | None:
    """The policies that throttled; another throttle of the view may ask for a longer wait."""
    outcome = record_of(request).outcome
    problem = refusal(outcome.admission) if outcome is not None else None
    wait = getattr(error, "wait", None) or 0
    if problem is not None and wait > (problem.wait or 0):
        problem.ask_to_wait(wait)
    return problem


def _add_challenge(problem: Problem, error: Exception) -> None:
    challenge = getattr(error, "auth_header", None)
    if challenge and isinstance(error, AuthenticationFailed | NotAuthenticated):
        problem.headers.setdefault("WWW-Authenticate", challenge)
