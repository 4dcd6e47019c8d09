"""Jobs and the bodies of the performance endpoints as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from perf.models import Job


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a misspelt one must not be silently without effect."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name: f"Unknown field; known are: {', '.join(self.fields)}." for name in unknown}
                )
        return super().to_internal_value(data)


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as clients see it."""

    class Meta:
        model = Job
        fields = [
            "id", "type", "status", "progress", "message", "attempt", "result", "error",
            "submitted_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class SubmissionSerializer(StrictSerializer):
    """``{"type": …, "params": {…}}``."""

    type = serializers.CharField(max_length=64)
    params = serializers.JSONField(default=dict)


class InvalidationSerializer(StrictSerializer):
    """What to drop: by tag, by policy, by path, or everything."""

    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False, max_length=100)
    policies = serializers.ListField(child=serializers.SlugField(), required=False, max_length=100)
    paths = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=100)
    everything = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(attrs.values()):
            raise serializers.ValidationError("Name tags, policies or paths to drop, or set everything to true.")
        return attrs


class WarmSerializer(StrictSerializer):
    """Which policies to warm, for which roles; all and every one by default."""

    policies = serializers.ListField(child=serializers.SlugField(), required=False, max_length=100)
    roles = serializers.ListField(child=serializers.CharField(max_length=150), required=False, max_length=20)
