"""Assets and scan targets as JSON. What a client sends and this server would not obey is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import get_error_detail
from rest_framework.validators import UniqueValidator

from perf.api.fields import Flag, Text, WholeNumber
from perf.api.serializers import StrictSerializer
from securenet.network.models import ALL_PORTS, Asset, ScanTarget, Service
from securenet.network.validators import (
    MAX_TAG_LENGTH,
    MAX_TAGS,
    canonical_address,
    normalised_network,
    normalised_ports,
)


class StrictModelSerializer(StrictSerializer, serializers.ModelSerializer):
    """Refuses unknown fields, and read-only ones unless they come back as they were read."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.BooleanField: Flag,
        models.PositiveIntegerField: WholeNumber,
    }

    def to_internal_value(self, data: Any) -> Any:
        values = super().to_internal_value(data)
        sent = [name for name, field in self.fields.items() if field.read_only and name in data]
        if sent:
            now = self.to_representation(self.instance) if self.instance is not None else {}
            changed = [name for name in sent if name not in now or now[name] != data[name]]
            if changed:
                raise serializers.ValidationError(
                    {name: serializers.ErrorDetail("This field is read-only.", "read_only") for name in changed}
                )
        return values

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """Write only what was sent: a scan may have written the other columns since the row was read."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        return instance


class NormalisedField(Text):
    """Text with one spelling; ``normalise`` gives it, or raises Django's ValidationError."""

    def __init__(self, normalise: Callable[[str], str], **options: Any) -> None:
        self.normalise = normalise
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return self.normalise(text)
        except DjangoValidationError as error:
            raise serializers.ValidationError(get_error_detail(error)) from error


class ServiceSerializer(serializers.ModelSerializer):
    """A service, as part of its asset."""

    class Meta:
        model = Service
        fields = [
            "port", "protocol", "name", "product", "version", "banner", "state", "first_seen", "last_seen"
        ]  # fmt: skip
        read_only_fields = fields


class AssetSerializer(StrictModelSerializer):
    """An asset with its services."""

    address = NormalisedField(
        canonical_address,
        max_length=45,
        validators=[UniqueValidator(Asset.objects.all(), "There is an asset with this address already.")],
    )
    tags = serializers.ListField(child=Text(max_length=MAX_TAG_LENGTH), max_length=MAX_TAGS, required=False)
    services = ServiceSerializer(many=True, read_only=True)

    class Meta:
        model = Asset
        fields = [
            "id", "address", "hostname", "name", "kind", "owner", "criticality", "exposure", "tags", "notes",
            "source", "first_seen", "last_seen", "services",
        ]  # fmt: skip
        read_only_fields = ["id", "source", "first_seen", "last_seen"]

    def validate_tags(self, tags: list[str]) -> list[str]:
        """Each once, in their order."""
        return list(dict.fromkeys(tags))


class ScanTargetSerializer(StrictModelSerializer):
    """A network that may be scanned."""

    network = NormalisedField(normalised_network, max_length=49)
    ports = NormalisedField(normalised_ports, max_length=8192, default=ALL_PORTS)
    is_live = serializers.BooleanField(read_only=True, help_text="Enabled, and not past `valid_until`.")
    created_by = serializers.SerializerMethodField()

    class Meta:
        model = ScanTarget
        fields = [
            "id", "network", "ports", "rate", "valid_until", "enabled", "is_live", "reason", "created_by", "created_at"
        ]  # fmt: skip
        read_only_fields = ["id", "created_at"]

    @extend_schema_field({"type": ["string", "null"]})
    def get_created_by(self, target: ScanTarget) -> str | None:
        """The user's name."""
        return target.created_by.get_username() if target.created_by else None
