"""Log events and batches of them as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from perf.api.serializers import StrictSerializer
from securenet.logs.ingest import SOURCE_LENGTH
from securenet.logs.models import LogEvent

MAX_BATCH = 10_000
DEFAULT_SOURCE = "api"


class LogEventSerializer(serializers.ModelSerializer):
    """A stored event."""

    user = serializers.CharField(source="user_name")

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


class BatchSerializer(StrictSerializer):
    """``{"lines": ["…"]}`` or ``{"events": [{…}]}``, and where they come from."""

    lines = serializers.ListField(child=serializers.CharField(allow_blank=True, trim_whitespace=False), required=False)
    events = serializers.ListField(child=serializers.DictField(), required=False)
    source = serializers.CharField(max_length=SOURCE_LENGTH, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lines" in attrs) == ("events" in attrs):
            raise serializers.ValidationError("Send either lines or events.")
        for name in ("lines", "events"):
            _check_length(name, attrs.get(name, ()))
        return attrs


class IngestedSerializer(serializers.Serializer):
    """What was stored."""

    accepted = serializers.IntegerField()
    by_kind = serializers.DictField(child=serializers.IntegerField())
    unparsed = serializers.IntegerField()


class AnalysisParams(serializers.Serializer):
    """Which events a ``log_analysis`` looks at: those of the last day by default."""

    since = serializers.DateTimeField(required=False)
    source = serializers.CharField(max_length=SOURCE_LENGTH, required=False)


def _check_length(name: str, items: Any) -> None:
    if len(items) > MAX_BATCH:
        raise serializers.ValidationError(
            {name: f"A batch has at most {MAX_BATCH} entries, this one has {len(items)}; send several."}
        )
