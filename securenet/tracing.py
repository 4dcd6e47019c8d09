"""Sends spans to a collector (OTLP over HTTP), where ``OTEL_EXPORTER_OTLP_ENDPOINT`` names one.

The exporter reads the other ``OTEL_`` variables itself: headers, sampling, the service's name.
"""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured


def send_spans() -> None:
    """Set up OpenTelemetry for this process and its forks.

    Raises:
        ImproperlyConfigured: its packages are not installed.
    """
    os.environ.setdefault("OTEL_SERVICE_NAME", "securenet")
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but {error.name} is not installed: "
            "pip install -r requirements-tracing.txt, or unset the variable."
        ) from error
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
