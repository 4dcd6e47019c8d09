"""Spans for OpenTelemetry: one for each request, each exchange with Redis and each attempt of a job.

Made where ``PERF_TRACING`` is on, which needs the package ``opentelemetry-api``. Who collects them is the project's to
configure. Names and attributes are those of OpenTelemetry's semantic conventions for HTTP and messaging; what is
perf's own begins with ``perf.``. No addresses, user names, parameters or keys are among them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponseBase

from perf.conf import setting
from perf.gate.outcome import Allowed, Blocked, CacheAnswer, Outcome

try:
    from opentelemetry import context, propagate, trace
except ImportError:  # `perf.E007` says so where tracing is on
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

if TYPE_CHECKING:
    from perf.models import Job

SERVER_ERROR: Final = 500
_PARENT: Final = "traceparent"  # W3C Trace Context


@dataclass(slots=True)
class RequestSpan:
    """The span of a request that is being answered, and what undoes its being the current one."""

    span: Any
    token: Any


def is_on() -> bool:
    """Whether spans are made."""
    return IS_INSTALLED and bool(setting("TRACING"))


def begin_request(request: HttpRequest) -> RequestSpan:
    """Begin the request's span, below what its ``traceparent`` names; or go on with the span of an instrumentation."""
    span = trace.get_current_span()
    if span.is_recording():
        return RequestSpan(span, None)
    span = _tracer().start_span(
        request.method or "",
        propagate.extract(request.headers, context.Context()),
        trace.SpanKind.SERVER,
        {"http.request.method": request.method or "", "url.scheme": request.scheme or "", "url.path": request.path},
    )
    return RequestSpan(span, context.attach(trace.set_span_in_context(span)))


def end_request(begun: RequestSpan, request: HttpRequest, response: HttpResponseBase | None, about: str) -> None:
    """End it.

    Args:
        response: None where the view's exception was not turned into one.
        about: the request's id, which log lines have as well.
    """
    span, match = begun.span, request.resolver_match
    span.set_attribute("perf.request_id", about)
    if match is not None:
        span.set_attribute("http.route", match.route)
        span.update_name(f"{request.method} {match.route}")
    status = SERVER_ERROR if response is None else response.status_code
    span.set_attribute("http.response.status_code", status)
    if status >= SERVER_ERROR:
        span.set_status(trace.StatusCode.ERROR)
    if begun.token is not None:
        context.detach(begun.token)
        span.end()


def note_exchange(outcome: Outcome) -> None:
    """Make the span of an exchange with Redis that has just ended."""
    ended = time.time_ns()
    span = _tracer().start_span(
        "perf.gate",
        kind=trace.SpanKind.CLIENT,
        attributes=_attributes(outcome),
        start_time=ended - round(outcome.seconds * 1e9),
    )
    span.end(ended)


def parent_of_job() -> str:
    """What a job keeps of the trace in which it is submitted: a ``traceparent``; "" without a trace."""
    if not is_on():
        return ""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get(_PARENT, "")


def attempt(job: Job) -> AbstractContextManager[None]:
    """A block that carries out an attempt of the job: its span is below the one in which the job was submitted."""
    return _attempt(job) if is_on() else _nothing()


@contextmanager
def _attempt(job: Job) -> Iterator[None]:
    parent = propagate.extract({_PARENT: job.trace_parent}, context.Context())
    attributes = {
        "messaging.system": "rq",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "perf.job.id": str(job.pk),
        "perf.job.type": job.type,
        "perf.job.attempt": job.attempt,
    }
    tracer = _tracer()
    with tracer.start_as_current_span(f"process {job.type}", parent, trace.SpanKind.CONSUMER, attributes) as span:
        yield
        job.refresh_from_db(fields=["status"])
        span.set_attribute("perf.job.status", job.status)
        if job.status == job.Status.FAILED:
            span.set_status(trace.StatusCode.ERROR)
    # A work-horse ends without the exit handlers by which spans are sent.
    if flush := getattr(trace.get_tracer_provider(), "force_flush", None):
        flush()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _attributes(outcome: Outcome) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {"db.system.name": "redis", "perf.revision": outcome.revision}
    admission = outcome.admission
    found["perf.admission"] = type(admission).__name__.lower()
    if isinstance(admission, Allowed | Blocked):
        found["perf.limits"] = ",".join(state.rule.name for state in admission.limits)
    if isinstance(outcome.cache, CacheAnswer):
        found["perf.cache"] = outcome.cache.state.value
    return found


def _tracer() -> Any:
    return trace.get_tracer("perf")
