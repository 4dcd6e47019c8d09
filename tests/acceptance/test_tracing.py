"""A SecureNet that sends its spans to a collector: one trace from the request to the job's end in a worker."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed: make test-tracing")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.site import PASSWORD
from tests.servers.securenet import securenet, until

pytestmark = pytest.mark.slow


class Collector(ThreadingHTTPServer):
    """Takes spans as OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[Any] = []
        self.services: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:
        """Nothing is to be said of each request."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def test_a_job_s_attempt_is_in_the_trace_of_its_request(tmp_path: Path, collector: Collector) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds
        "SECURENET_ADMIN_PASSWORD": PASSWORD,
    }
    with securenet(tmp_path / "data", **environment) as run:
        run.await_ready()
        with httpx.Client(base_url=run.url, timeout=30) as client:
            tokens = client.post("/api/auth/token", json={"username": "admin", "password": PASSWORD}).json()
            client.headers["Authorization"] = f"Bearer {tokens['access']}"
            job = client.post("/api/performance/background-job", json={"type": "cache_warm"})
            assert job.status_code == 202
        until(lambda: collector.named("process cache_warm"), 60, run.explain)
        until(lambda: collector.named("POST api/performance/background-job"), 60, run.explain)
        (request,) = collector.named("POST api/performance/background-job")
        (attempt,) = collector.named("process cache_warm")
        assert attempt.trace_id == request.trace_id
        assert attempt.parent_span_id == request.span_id
        assert any(span.trace_id == request.trace_id for span in collector.named("perf.gate"))
        assert collector.services == {"securenet"}


def test_spans_cost_no_answer_while_the_collector_is_away(tmp_path: Path) -> None:
    with securenet(tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", JOB_WORKERS="0") as run:
        run.await_ready()
        assert [httpx.get(f"{run.url}/livez").status_code for _ in range(20)] == [200] * 20
