"""``/api/logs``: look events up, send batches of them."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from perf.api.pagination import ResultPages
from perf.caching import cache_api_response
from securenet.accounts.permissions import ReadOnlyOrRole
from securenet.accounts.roles import ANALYSTS
from securenet.logs.ingest import SOURCE_LENGTH, IngestSummary, ingest_lines, ingest_records
from securenet.logs.models import LogEvent
from securenet.logs.parsers import Kind
from securenet.logs.request_body import LinesParser, PackedJSONParser
from securenet.logs.serializers import (
    DEFAULT_SOURCE,
    MAX_BATCH,
    BatchSerializer,
    IngestedSerializer,
    LogEventSerializer,
)
from securenet.network.filters import TimeFilter


class LogEventFilter(django_filters.FilterSet):
    """Times are ISO 8601; ``q`` is a part of the message."""

    since = TimeFilter(field_name="time", lookup_expr="gte")
    until = TimeFilter(field_name="time", lookup_expr="lt")
    kind = django_filters.MultipleChoiceFilter(choices=[(kind.value, kind.value) for kind in Kind])
    source = django_filters.CharFilter()
    source_ip = django_filters.CharFilter()
    program = django_filters.CharFilter()
    user = django_filters.CharFilter(field_name="user_name")
    q = django_filters.CharFilter(field_name="message", lookup_expr="icontains")

    class Meta:
        model = LogEvent
        fields: list[str] = []


class NewestEventsFirst(ResultPages):
    """By the events' own time."""

    ordering = ("-time", "-id")


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

    @extend_schema(request=BatchSerializer, responses={201: IngestedSerializer})
    def post(self, request: Request) -> Response:
        summary = _ingested_text(request.data) if _is_text(request) else _ingested_json(request.data)
        return Response(IngestedSerializer(summary).data, status=201)


def _is_text(request: Request) -> bool:
    return (request.content_type or "").partition(";")[0].strip() == "text/plain"


def _ingested_text(data: dict[str, Any]) -> IngestSummary:
    if len(data["lines"]) > MAX_BATCH + 1:
        raise serializers.ValidationError({"lines": f"A batch has at most {MAX_BATCH} lines; send several."})
    source = (data["source"] or DEFAULT_SOURCE)[:SOURCE_LENGTH]
    return ingest_lines(data["lines"], source=source, received_at=timezone.now())


def _ingested_json(data: Any) -> IngestSummary:
    serializer = BatchSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    batch = serializer.validated_data
    source = batch["source"] or DEFAULT_SOURCE
    if "lines" in batch:
        return ingest_lines(batch["lines"], source=source, received_at=timezone.now())
    return ingest_records(batch["events"], source=source, received_at=timezone.now())
