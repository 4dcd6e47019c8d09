"""``/api/logs``: look events up, send batches of them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from perf.caching import cache_api_response
from perf.problems import Problem
from securenet.accounts.permissions import ReadOnlyOrRole
from securenet.accounts.roles import ANALYSTS
from securenet.logs.filters import LogEventFilter
from securenet.logs.ingest import IngestSummary, ingest_lines, ingest_records
from securenet.logs.models import LogEvent
from securenet.logs.pagination import NewestEventsFirst
from securenet.logs.request_body import LinesParser, PackedJSONParser, TextBatch
from securenet.logs.serializers import (
    BATCH,
    MAX_BATCH,
    BatchSerializer,
    IngestedSerializer,
    LogEventSerializer,
    SourceSerializer,
)

DEFAULT_SOURCE = "api"


class LogsView(ListAPIView):
    """Log events."""

    permission_classes = [ReadOnlyOrRole(*ANALYSTS)]
    parser_classes = [PackedJSONParser, LinesParser]
    serializer_class = LogEventSerializer
    pagination_class = NewestEventsFirst
    filterset_class = LogEventFilter

    def get_queryset(self) -> QuerySet[LogEvent]:
        return LogEvent.objects.all()

    @cache_api_response(tags=["logs"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request={"application/json": BATCH, "text/plain": {"type": "string", "format": "binary", "minLength": 1}},
        parameters=[
            OpenApiParameter("source", str, description="Where the lines of a `text/plain` body come from."),
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"]),
        ],
        responses={201: IngestedSerializer},
    )
    def post(self, request: Request) -> Response:
        data = request.data
        summary = _ingested_text(data) if isinstance(data, TextBatch) else _ingested_json(data)
        return Response(IngestedSerializer(summary).data, status=201)


def _ingested_text(batch: TextBatch) -> IngestSummary:
    _refuse_too_many(batch.lines)
    serializer = SourceSerializer(data={"source": batch.source})
    serializer.is_valid(raise_exception=True)
    source = serializer.validated_data["source"] or DEFAULT_SOURCE
    return ingest_lines(batch.lines, source=source, received_at=timezone.now())


def _ingested_json(data: Any) -> IngestSummary:
    if isinstance(data, dict):
        for name in ("lines", "events"):
            _refuse_too_many(data.get(name))
    serializer = BatchSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    batch = serializer.validated_data
    source = batch["source"] or DEFAULT_SOURCE
    if "lines" in batch:
        return ingest_lines(batch["lines"], source=source, received_at=timezone.now())
    return ingest_records(batch["events"], source=source, received_at=timezone.now())


def _refuse_too_many(entries: Any) -> None:
    if isinstance(entries, list) and len(entries) > MAX_BATCH:
        detail = f"A batch has at most {MAX_BATCH} entries, this one has {len(entries)}; send several."
        raise Problem(413, "Batch too large", detail)
