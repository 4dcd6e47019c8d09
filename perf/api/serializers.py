"""Jobs and the bodies of the performance endpoints as JSON."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from perf.api.fields import Flag, Text
from perf.models import Job


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a misspelt one must not be silently without effect.

    Attributes:
        request_schema: what `validate` asks for beyond the fields, in JSON Schema.
    """

    request_schema: ClassVar[dict[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name: f"Unknown field; known are: {', '.join(self.fields)}." for name in unknown}
                )
        return super().to_internal_value(data)


class ResultField(serializers.JSONField):
    """What came of a job: an object whose members depend on its type; null until it is completed."""


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as clients see it."""

    result = ResultField(read_only=True)

    class Meta:
        model = Job
        fields = [
            "id", "type", "status", "progress", "message", "attempt", "result", "error",
            "submitted_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class SubmissionSerializer(StrictSerializer):
    """``{"type": …, "params": {…}}``."""

    type = Text(max_length=64)
    params = serializers.JSONField(default=dict)


class InvalidationSerializer(StrictSerializer):
    """What to drop: by tag, by policy, by path, or everything."""

    request_schema = {
        "not": {
            "properties": {
                **{name: {"type": "array", "maxItems": 0} for name in ("tags", "policies", "paths")},
                "everything": {"const": False},
            }
        }
    }

    tags = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    policies = serializers.ListField(child=serializers.SlugField(), required=False, max_length=100)
    paths = serializers.ListField(child=Text(max_length=200), required=False, max_length=100)
    everything = Flag(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(attrs.values()):
            raise serializers.ValidationError("Name tags, policies or paths to drop, or set everything to true.")
        return attrs


class WarmSerializer(StrictSerializer):
    """Which policies to warm, for which roles; all and every one by default."""

    policies = serializers.ListField(child=serializers.SlugField(), required=False, max_length=100)
    roles = serializers.ListField(child=Text(max_length=150), required=False, max_length=20)
