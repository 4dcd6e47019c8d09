"""What lists of findings and scans can be narrowed down to."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet

from perf.models import Job
from securenet.network.filters import TimeFilter
from securenet.security.models import SEVERITY_RANKS, Finding, Scan, Severity


class FindingFilter(django_filters.FilterSet):
    """Values of one parameter are alternatives (``?severity=high&severity=critical``); different ones must all hold."""

    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices)
    min_severity = django_filters.ChoiceFilter(
        choices=Severity.choices, method="filter_min_severity", label="This severity or worse."
    )
    state = django_filters.MultipleChoiceFilter(choices=Finding.State.choices)
    source = django_filters.ChoiceFilter(choices=Finding.Source.choices)
    check_id = django_filters.CharFilter()
    asset = django_filters.NumberFilter(
        field_name="asset_id", min_value=1, max_value=2**63 - 1, decimal_places=0, label="Id of an asset."
    )
    subject = django_filters.CharFilter()
    port = django_filters.NumberFilter(min_value=1, max_value=65535, decimal_places=0)
    protocol = django_filters.CharFilter()
    min_confidence = django_filters.NumberFilter(
        field_name="confidence", lookup_expr="gte", min_value=0, max_value=100, decimal_places=0
    )
    search = django_filters.CharFilter(method="filter_search", label="In title, subject or the asset's names.")
    first_seen_after = TimeFilter(field_name="first_seen", lookup_expr="gte")
    seen_after = TimeFilter(field_name="last_seen", lookup_expr="gte")
    seen_before = TimeFilter(field_name="last_seen", lookup_expr="lt")

    class Meta:
        model = Finding
        fields: list[str] = []

    def filter_min_severity(self, findings: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """This severity or a worse one."""
        return findings.filter(severity_rank__gte=SEVERITY_RANKS[value])

    def filter_search(self, findings: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Part of a text that says what or where it is."""
        columns = ("title", "subject", "asset__address", "asset__hostname", "asset__name")
        return findings.filter(Q(*((f"{column}__icontains", value) for column in columns), _connector=Q.OR))


class ScanFilter(django_filters.FilterSet):
    """By state, and by who started it."""

    state = django_filters.MultipleChoiceFilter(choices=Job.Status.choices)
    started_by = django_filters.CharFilter(field_name="started_by__username")

    class Meta:
        model = Scan
        fields: list[str] = []
