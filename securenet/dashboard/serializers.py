"""The form of the posture, for the API's description."""

from __future__ import annotations

from enum import StrEnum

from rest_framework import serializers

from perf.models import Job
from securenet.dashboard.posture import AGE_GROUPS, OLDEST_GROUP
from securenet.network.models import Asset
from securenet.security.models import Severity
from securenet.security.serializers import FeedAgeSerializer


class AnalysisState(StrEnum):
    """What is done about the log analysis behind the numbers."""

    CURRENT = "current"  # it is younger than its TTL
    DUE = "due"  # it is older, and nothing was done about that
    SUBMITTED = "submitted"  # another one waits or runs
    QUEUE_FULL = "queue_full"  # there was no room for another one
    DISABLED = "disabled"  # an admin has switched analyses off


def _counts(name: str, values: list[str]) -> serializers.Serializer:
    """A number for each of ``values``."""
    fields = {value: serializers.IntegerField() for value in values}
    counts: serializers.Serializer = type(f"{name}Serializer", (serializers.Serializer,), fields)()
    return counts


class TrendDaySerializer(serializers.Serializer):
    """Findings that came and that were resolved on a day."""

    day = serializers.DateField()
    new = serializers.IntegerField()
    resolved = serializers.IntegerField()


class PostureFindingsSerializer(serializers.Serializer):
    """Findings about which something has to be done."""

    open = serializers.IntegerField()
    by_severity = _counts("BySeverity", Severity.values)
    by_age = _counts("ByAge", [*(name for name, _ in AGE_GROUPS), OLDEST_GROUP])
    trend = TrendDaySerializer(many=True)


class PostureAssetsSerializer(serializers.Serializer):
    """The machines of the network in numbers."""

    total = serializers.IntegerField()
    by_exposure = _counts("ByExposure", Asset.Exposure.values)
    by_criticality = _counts("ByCriticality", Asset.Criticality.values)
    open_services = serializers.IntegerField()


class EventsPerHourSerializer(serializers.Serializer):
    """Log events of an hour."""

    hour = serializers.DateTimeField()
    events = serializers.IntegerField()


class AttackSourceSerializer(serializers.Serializer):
    """An address with many refused log-ins."""

    source = serializers.CharField()
    attempts = serializers.IntegerField()
    last_seen = serializers.DateTimeField()


class PostureEventsSerializer(serializers.Serializer):
    """Log events of the last day."""

    per_hour = EventsPerHourSerializer(many=True)
    top_attack_sources = AttackSourceSerializer(many=True)


class LastScanSerializer(serializers.Serializer):
    """The newest scan."""

    targets = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=Job.Status.choices)
    finished_at = serializers.DateTimeField(allow_null=True)
    hosts_up = serializers.IntegerField()
    open_ports = serializers.IntegerField()
    findings_new = serializers.IntegerField()


class LastAnalysisSerializer(serializers.Serializer):
    """The newest analysis of log events."""

    finished_at = serializers.DateTimeField()
    age = serializers.IntegerField(help_text="Seconds.")
    events = serializers.IntegerField()
    detections = serializers.IntegerField()
    findings_new = serializers.IntegerField()


class AnalysisStateSerializer(serializers.Serializer):
    """What is done about the analysis."""

    state = serializers.ChoiceField(choices=[state.value for state in AnalysisState])


class DashboardSerializer(serializers.Serializer):
    """The security posture."""

    generated_at = serializers.DateTimeField()
    findings = PostureFindingsSerializer()
    assets = PostureAssetsSerializer()
    events = PostureEventsSerializer()
    last_scan = LastScanSerializer(allow_null=True)
    last_analysis = LastAnalysisSerializer(allow_null=True)
    vulnerability_data = FeedAgeSerializer(many=True)
    analysis = AnalysisStateSerializer()
