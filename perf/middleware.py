"""Writes the headers of every API response and measures it. The outermost middleware, so that it sees everything."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError

from perf import log_context, tracing
from perf.conf import setting
from perf.gate.notes import notes
from perf.metrics.latency import bucket_of
from perf.metrics.traffic import note_visit
from perf.problems import Problem, as_problem, problem_response
from perf.rate_limit_headers import rate_limit_headers
from perf.records import RequestRecord, record_of

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")


class PerformanceMiddleware:
    """Sets ``X-Request-ID``, ``Server-Timing``, ``Cache-Status`` and rate-limit fields below ``PERF_PATH_PREFIX``."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self.get_response):
            return self._call_async(request)
        record = _begin(request)
        about = log_context.request_id.set(record.request_id)
        response: HttpResponseBase | None = None
        try:
            response = cast(HttpResponseBase, self.get_response(request))
        finally:
            _end(record)
            log_context.request_id.reset(about)
            _end_span(request, record, response)
        _finish(request, record, response)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        record = _begin(request)
        about = log_context.request_id.set(record.request_id)
        response: HttpResponseBase | None = None
        try:
            response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        finally:
            if record.on_finish:
                await sync_to_async(_end, thread_sensitive=False)(record)
            log_context.request_id.reset(about)
            _end_span(request, record, response)
        _finish(request, record, response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A problem raised in a plain Django view is answered as one; so is a body that broke off."""
        problem = as_problem(exception) if isinstance(exception, Problem | UnreadablePostError) else None
        return problem_response(problem, request) if problem else None


def _begin(request: HttpRequest) -> RequestRecord:
    record = record_of(request)
    given = request.headers.get("X-Request-ID", "")
    if _REQUEST_ID.fullmatch(given):
        record.request_id = given
    if tracing.is_on():
        record.span = tracing.begin_request(request)
    return record


def _end_span(request: HttpRequest, record: RequestRecord, response: HttpResponseBase | None) -> None:
    if record.span is not None:
        tracing.end_request(record.span, request, response, record.request_id)


def _end(record: RequestRecord) -> None:
    for action in record.on_finish:
        action()


def _finish(request: HttpRequest, record: RequestRecord, response: HttpResponseBase) -> None:
    if not request.path_info.startswith(setting("PATH_PREFIX")):
        return
    total = time.perf_counter() - record.started
    headers = response.headers
    headers["X-Request-ID"] = record.request_id
    headers["Server-Timing"] = (
        f"gate;dur={record.gate_seconds * 1000:.2f}, "
        f"app;dur={(total - record.gate_seconds) * 1000:.2f}, total;dur={total * 1000:.2f}"
    )
    headers["Cache-Status"] = f"{setting('CACHE_NAME')}; {record.cache_status or 'fwd=bypass'}"
    if record.outcome is not None:
        for name, value in rate_limit_headers(record.outcome.admission):
            headers[name] = value
    match = request.resolver_match
    if match is not None and match.view_name:
        notes.note(f"latency:{match.view_name}:{bucket_of(total)}")
        notes.note(f"latency_sum:{match.view_name}:us", round(total * 1e6))
    note_visit(request, record, response, total)
