"""What lists of log events can be narrowed down to."""

from __future__ import annotations

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from securenet.logs.models import LogEvent
from securenet.logs.parsers import Kind
from securenet.logs.parsers.addresses import canonical_address
from securenet.network.filters import TimeFilter


class AddressField(forms.CharField):
    """An address in any spelling; becomes the one that events have."""

    def clean(self, value: str) -> str:
        text: str = super().clean(value)
        if not text:
            return ""
        address = canonical_address(text)
        if address is None:
            raise ValidationError(_("Write an IP address, such as 192.0.2.7 or 2001:db8::7."), code="invalid_address")
        return address


class AddressFilter(django_filters.CharFilter):
    """Events from this address."""

    field_class = AddressField


class LogEventFilter(django_filters.FilterSet):
    """Times are ISO 8601; ``q`` is a part of the message; several ``kind`` are alternatives."""

    since = TimeFilter(field_name="time", lookup_expr="gte")
    until = TimeFilter(field_name="time", lookup_expr="lt")
    kind = django_filters.MultipleChoiceFilter(choices=[(kind.value, kind.value) for kind in Kind])
    source = django_filters.CharFilter()
    source_ip = AddressFilter()
    program = django_filters.CharFilter()
    user = django_filters.CharFilter(field_name="user_name")
    q = django_filters.CharFilter(field_name="message", lookup_expr="icontains")

    class Meta:
        model = LogEvent
        fields: list[str] = []
