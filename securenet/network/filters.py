"""What lists of assets and scan targets can be narrowed down to."""

from __future__ import annotations

from datetime import UTC, datetime

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters.fields import IsoDateTimeField

from securenet.network.models import Asset, ScanTarget, Service
from securenet.network.validators import canonical_address


class AddressField(forms.CharField):
    """An address in any spelling."""

    def clean(self, value: str) -> str:
        text = super().clean(value)
        return canonical_address(text) if text else text


class AddressFilter(django_filters.CharFilter):
    """Assets with this address."""

    field_class = AddressField


class TimeField(IsoDateTimeField):
    """A time in ISO 8601 that exists in UTC as well: ``0001-01-01T00:00:00+14:00`` does not."""

    def clean(self, value: str) -> datetime | None:
        time: datetime | None = super().clean(value)
        try:
            return None if time is None else time.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError("Enter a time of the years 1 to 9999.", code="invalid") from error


class TimeFilter(django_filters.IsoDateTimeFilter):
    """Times before or after another."""

    field_class = TimeField


class AssetFilter(django_filters.FilterSet):
    """Values of one parameter are alternatives (``?kind=server&kind=iot``); different parameters must all hold."""

    address = AddressFilter()
    kind = django_filters.MultipleChoiceFilter(choices=Asset.Kind.choices)
    criticality = django_filters.MultipleChoiceFilter(choices=Asset.Criticality.choices)
    exposure = django_filters.MultipleChoiceFilter(choices=Asset.Exposure.choices)
    source = django_filters.ChoiceFilter(choices=Asset.Source.choices)
    owner = django_filters.CharFilter(lookup_expr="iexact")
    search = django_filters.CharFilter(method="filter_search", label="In address, host name, name or owner.")
    open_port = django_filters.NumberFilter(
        method="filter_open_port", min_value=1, max_value=65535, decimal_places=0, label="Open port."
    )
    seen_after = TimeFilter(field_name="last_seen", lookup_expr="gte")
    seen_before = TimeFilter(field_name="last_seen", lookup_expr="lt")

    class Meta:
        model = Asset
        fields: list[str] = []

    def filter_search(self, assets: QuerySet[Asset], name: str, value: str) -> QuerySet[Asset]:
        """Part of a text that names the asset."""
        columns = ("address", "hostname", "name", "owner")
        return assets.filter(Q(*((f"{column}__icontains", value) for column in columns), _connector=Q.OR))

    def filter_open_port(self, assets: QuerySet[Asset], name: str, value: object) -> QuerySet[Asset]:
        """Something listens on this port."""
        open_services = Service.objects.filter(port=value, state=Service.State.OPEN)
        return assets.filter(pk__in=open_services.values("asset_id"))


class ScanTargetFilter(django_filters.FilterSet):
    """By whether it counts, and by network as it is written."""

    enabled = django_filters.TypedChoiceFilter(
        choices=[("true", "true"), ("false", "false")], coerce=lambda value: value == "true"
    )
    network = django_filters.CharFilter()

    class Meta:
        model = ScanTarget
        fields: list[str] = []
