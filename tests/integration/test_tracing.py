"""Spans of requests, exchanges with Redis and jobs, as OpenTelemetry's SDK collects them (`make test-tracing`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed: make test-tracing")

from django.test import Client, override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perf.jobs import JobFailed, RunningJob, job_type, submit
from perf.jobs.run import run_job
from perf.models import Job
from tests.integration.helpers import given_cache_policy, given_limit, given_user

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

_exporter = InMemorySpanExporter()


@job_type("test_traced")
def traced(job: RunningJob, params: dict[str, Any]) -> None:
    """Does nothing."""


@job_type("test_traced_failure")
def traced_failure(job: RunningJob, params: dict[str, Any]) -> None:
    """Fails."""
    raise JobFailed("as planned")


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """One for the process: OpenTelemetry lets nobody exchange it."""
    given = TracerProvider()
    given.add_span_processor(SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(given)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Those that have ended since the test began, while tracing is on."""
    _exporter.clear()
    with override_settings(PERF_TRACING=True):
        yield _exporter


@pytest.fixture
def client() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(given_user("ada", "security_admin"))
    return client


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in spans.get_finished_spans() if span.name == name]
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_is_a_span_with_its_route_and_status(client: Client, spans: InMemorySpanExporter) -> None:
    response = client.get("/api/security/findings/4711", headers={"X-Request-ID": "ticket-4711"})
    span = named(spans, "GET api/security/findings/<int:pk>")
    assert span.kind is trace.SpanKind.SERVER
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "api/security/findings/<int:pk>",
        "http.response.status_code": response.status_code,
        "url.path": "/api/security/findings/4711",
        "url.scheme": "http",
        "perf.request_id": "ticket-4711",
    }


def test_the_exchange_with_redis_is_a_span_within_it(client: Client, spans: InMemorySpanExporter) -> None:
    given_limit("everyone")
    given_cache_policy()
    client.get("/api/dashboard/cached")
    spans.clear()
    client.get("/api/dashboard/cached")
    request, gate = named(spans, "GET api/dashboard/cached"), named(spans, "perf.gate")
    assert gate.parent is not None
    assert gate.parent.span_id == request.context.span_id
    assert request.start_time <= gate.start_time < gate.end_time <= request.end_time  # type: ignore[operator]
    found = attributes(gate)
    assert found.pop("perf.revision") >= 0
    assert found == {
        "db.system.name": "redis", "perf.admission": "allowed", "perf.limits": "everyone", "perf.cache": "hit",
    }  # fmt: skip


def test_a_refusal_names_what_was_asked(client: Client, spans: InMemorySpanExporter) -> None:
    given_limit("everyone", limit=1)
    client.get("/api/dashboard")
    spans.clear()
    assert client.get("/api/dashboard").status_code == 429
    assert attributes(named(spans, "perf.gate"))["perf.admission"] == "blocked"


def test_a_caller_s_trace_goes_on(client: Client, spans: InMemorySpanExporter) -> None:
    client.get("/livez", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    span = named(spans, "GET livez")
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT


def test_an_error_marks_the_span(client: Client, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    from securenet.dashboard import views

    def failing(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(views.DashboardView, "get", failing)
    client.get("/api/dashboard")
    span = named(spans, "GET api/dashboard")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert attributes(span)["http.response.status_code"] == 500


def test_the_span_of_an_instrumentation_is_used(client: Client, spans: InMemorySpanExporter) -> None:
    with trace.get_tracer("another").start_as_current_span("outer"):
        client.get("/livez")
    (span,) = spans.get_finished_spans()
    assert attributes(span)["http.route"] == "livez"


def test_a_job_belongs_to_the_trace_of_the_request_that_submitted_it(
    client: Client, spans: InMemorySpanExporter
) -> None:
    response = client.post("/api/performance/background-job", {"type": "log_analysis"}, content_type="application/json")
    assert response.status_code == 202
    request = named(spans, "POST api/performance/background-job")
    run_job(response.json()["id"])
    run = named(spans, "process log_analysis")
    assert run.kind is trace.SpanKind.CONSUMER
    assert run.context.trace_id == request.context.trace_id
    assert run.parent is not None
    assert run.parent.span_id == request.context.span_id
    assert attributes(run)["perf.job.status"] == "completed"
    assert attributes(run)["perf.job.id"] == response.json()["id"]


def test_a_failed_job_marks_its_span(spans: InMemorySpanExporter) -> None:
    job = submit("test_traced_failure")
    run_job(str(job.pk))
    span = named(spans, "process test_traced_failure")
    assert span.parent is None
    assert span.status.status_code is trace.StatusCode.ERROR
    assert attributes(span)["perf.job.status"] == "failed"


def test_nothing_is_traced_unless_it_is_asked_for(client: Client, spans: InMemorySpanExporter) -> None:
    with override_settings(PERF_TRACING=False):
        client.get("/api/dashboard/cached")
        job = submit("test_traced")
        run_job(str(job.pk))
    assert spans.get_finished_spans() == ()
    assert Job.objects.get(pk=job.pk).trace_parent == ""
