"""Lists with filters: the filters are those of the API's views, drawn as fields of a form that is sent by GET."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import django_filters
from django import forms
from django.http import QueryDict
from django_filters.fields import IsoDateTimeField

CURSOR = "cursor"
# What browsers write into their fields for times; they show nothing else in them, such as a time with a zone.
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that may be chosen."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class FilterField:
    """One field. Without ``choices`` it is a text, of this ``input_type``; with ``many`` several may be chosen."""

    name: str
    label: str
    value: str
    choices: tuple[Choice, ...]
    many: bool
    is_number: bool
    input_type: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of results. ``next`` and ``first`` are query strings; empty where there is no such page."""

    results: Sequence[Any]
    fields: tuple[FilterField, ...]
    next: str
    first: str
    is_filtered: bool
    has_errors: bool


def api_query(query: QueryDict, names: Sequence[str]) -> str:
    """What is asked of the API: the fields that are filled in, and the place in the list."""
    return urlencode([(name, value) for name in (*names, CURSOR) for value in query.getlist(name) if value.strip()])


def listing(
    query: QueryDict,
    labels: Mapping[str, str],
    filterset: type[django_filters.FilterSet],
    data: Mapping[str, Any],
    errors: Mapping[str, list[str]],
) -> Listing:
    """Lay out an answer of a list view.

    Args:
        query: of the page.
        labels: of the filters that are offered, by name, in their order.
        filterset: the view's own.
        data: ``{"results": […], "next": …}``; a problem has neither.
        errors: what the API said of single fields.
    """
    fields = tuple(_field(name, label, filterset, query, errors) for name, label in labels.items())
    wanted = QueryDict(api_query(query, list(labels)), mutable=True)
    is_later = bool(wanted.pop(CURSOR, None))
    return Listing(
        results=data.get("results", ()),
        fields=fields,
        next=urlsplit(data.get("next") or "").query,
        first=(wanted.urlencode() or "first") if is_later else "",
        is_filtered=bool(wanted),
        has_errors=bool(errors),
    )


def _field(
    name: str,
    label: str,
    filterset: type[django_filters.FilterSet],
    query: QueryDict,
    errors: Mapping[str, list[str]],
) -> FilterField:
    field = filterset.base_filters[name].field
    values = query.getlist(name)
    offered = [(str(value), str(text)) for value, text in getattr(field, "choices", ()) if str(value)]
    return FilterField(
        name=name,
        label=label,
        value=values[-1] if values else "",
        choices=tuple(Choice(value, text, value in values) for value, text in offered),
        many=isinstance(field, forms.MultipleChoiceField),
        is_number=isinstance(field, forms.DecimalField),
        input_type=_input_type(field, values[-1] if values else ""),
        errors=tuple(text for at, texts in errors.items() if at.partition(".")[0] == name for text in texts),
    )


def _input_type(field: forms.Field, value: str) -> str:
    return "datetime-local" if isinstance(field, IsoDateTimeField) and _LOCAL_TIME.fullmatch(value) else "text"
