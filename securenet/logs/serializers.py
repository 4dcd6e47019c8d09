"""Log events and batches of them as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from perf.api.fields import Text
from perf.api.serializers import StrictSerializer
from securenet.logs.models import LogEvent
from securenet.logs.source import LABEL_HINT, is_label


class LogEventSerializer(serializers.ModelSerializer):
    """A stored event."""

    user = serializers.CharField(source="user_name", read_only=True)

    class Meta:
        model = LogEvent
        fields = [
            "id", "time", "received_at", "source", "host", "program", "kind", "source_ip", "user", "count", "message",
            "fields",
        ]  # fmt: skip
        read_only_fields = fields

    # A field of this name would hide the serializer's own ``fields``.
    def to_representation(self, instance: LogEvent) -> dict[str, Any]:
        return {**super().to_representation(instance), "fields": instance.fields}

    def get_field_names(self, declared_fields: Any, info: Any) -> list[str]:
        return [name for name in super().get_field_names(declared_fields, info) if name != "fields"]


MAX_BATCH = 10_000


def validate_label(text: str) -> None:
    """Refuse what is no label of a source."""
    if not is_label(text):
        raise serializers.ValidationError(LABEL_HINT, code="invalid_source")


@extend_schema_field(OpenApiTypes.STR)
class LineField(serializers.Field):
    """A line with anything in it: NUL and halves of surrogate pairs are cleaned away when it is read, not refused."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("A line is a string.", code="invalid")
        return data


class SourceSerializer(StrictSerializer):
    """Where a batch comes from."""

    source = Text(required=False, allow_blank=True, default="", trim_whitespace=False, validators=[validate_label])


class BatchSerializer(SourceSerializer):
    """``{"lines": ["…"]}`` or ``{"events": [{…}]}``, and where they come from."""

    lines = serializers.ListField(child=LineField(), required=False)
    events = serializers.ListField(child=serializers.DictField(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lines" in attrs) == ("events" in attrs):
            raise serializers.ValidationError("Send either lines or events.")
        return attrs


class LinesBatchSerializer(SourceSerializer):
    """Lines in any format that a parser knows; others are kept as they are."""

    lines = serializers.ListField(child=LineField(), max_length=MAX_BATCH)


class EventsBatchSerializer(SourceSerializer):
    """Records with fields of their own."""

    events = serializers.ListField(child=serializers.DictField(), max_length=MAX_BATCH)


# `BatchSerializer` for the API's description: either of them, not both.
BATCH = PolymorphicProxySerializer("Batch", [LinesBatchSerializer, EventsBatchSerializer], None)


class IngestedSerializer(serializers.Serializer):
    """What was stored."""

    accepted = serializers.IntegerField()
    by_kind = serializers.DictField(child=serializers.IntegerField())
    unparsed = serializers.IntegerField()


class AnalysisParams(serializers.Serializer):
    """Which events a ``log_analysis`` looks at: those of the last day by default."""

    since = serializers.DateTimeField(required=False)
    source = serializers.CharField(required=False, validators=[validate_label])
