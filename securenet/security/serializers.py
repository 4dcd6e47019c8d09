"""Findings and scans as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from perf.api.fields import Text
from perf.api.serializers import StrictSerializer
from perf.models import Job
from securenet.network.models import Asset
from securenet.security.models import Finding, Scan, Severity


class FindingAssetSerializer(serializers.ModelSerializer):
    """The asset of a finding, in brief."""

    class Meta:
        model = Asset
        fields = ["id", "address", "hostname", "name"]
        read_only_fields = fields


class FindingSerializer(serializers.ModelSerializer):
    """A finding with its evidence and what people decided."""

    asset = FindingAssetSerializer(read_only=True, allow_null=True)
    triaged_by = serializers.CharField(source="triaged_by.username", read_only=True, default=None, allow_null=True)
    evidence = serializers.DictField(read_only=True)

    class Meta:
        model = Finding
        fields = [
            "id", "fingerprint", "title", "description", "advice", "severity", "state", "source", "check_id", "asset",
            "subject", "port", "protocol", "evidence", "confidence", "cvss_vector", "cvss_score",
            "first_seen", "last_seen", "times_seen",
            "regressions", "resolved_at", "accepted_until", "triaged_by", "triaged_at", "triage_note",
        ]  # fmt: skip
        read_only_fields = fields


class TriageSerializer(StrictSerializer):
    """What a person may change of a finding."""

    request_schema = {"minProperties": 1}

    state = serializers.ChoiceField(choices=Finding.State.choices, required=False)
    triage_note = Text(max_length=5000, allow_blank=True, required=False)
    accepted_until = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="When the acceptance of the risk ends, and the finding is open again; null: never.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("Give state, triage_note, accepted_until or several of them.")
        return attrs


class ScanSerializer(serializers.ModelSerializer):
    """A scan with what its job says of it. ``job`` is null once the job's results have expired."""

    state = serializers.ChoiceField(choices=Job.Status.choices, read_only=True)
    imported = serializers.BooleanField(
        source="imported_from", read_only=True, help_text="Whether it is a file of nmap's that was taken in."
    )
    job = serializers.UUIDField(source="job_id", read_only=True, allow_null=True)
    targets = serializers.ListField(child=serializers.CharField(), read_only=True)
    progress = serializers.FloatField(source="job.progress", read_only=True, default=None, allow_null=True)
    started_by = serializers.CharField(source="started_by.username", read_only=True, default=None, allow_null=True)
    started_at = serializers.DateTimeField(read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = Scan
        fields = [
            "id", "job", "state", "progress", "targets", "ports", "started_by", "submitted_at", "started_at",
            "finished_at", "imported", "hosts_total", "hosts_up", "open_ports", "findings_new", "findings_resolved",
        ]  # fmt: skip
        read_only_fields = fields


class FindingBriefSerializer(serializers.ModelSerializer):
    """A finding without what is long in it."""

    asset = FindingAssetSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Finding
        fields = [
            "id", "fingerprint", "title", "severity", "state", "check_id", "asset", "subject", "port", "protocol",
            "first_seen", "last_seen",
        ]  # fmt: skip
        read_only_fields = fields


class OpenPortSerializer(serializers.Serializer):
    """A TCP port of a host."""

    address = serializers.CharField()
    port = serializers.IntegerField()


class ComparisonCountsSerializer(serializers.Serializer):
    """How many there are; the lists may hold fewer."""

    new = serializers.IntegerField()
    gone = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    unchecked = serializers.IntegerField()
    opened = serializers.IntegerField()
    closed = serializers.IntegerField()


class ComparisonSerializer(serializers.Serializer):
    """A scan beside an earlier one. Each list holds 1000 entries at most, the gravest findings first."""

    scan = serializers.IntegerField()
    compared_with = serializers.IntegerField(allow_null=True, help_text="Null: there is no earlier scan.")
    counts = ComparisonCountsSerializer()
    new = FindingBriefSerializer(many=True, help_text="Seen by this scan, not by the earlier one.")
    gone = FindingBriefSerializer(many=True, help_text="Looked for by this scan, and not there any more.")
    unchanged = FindingBriefSerializer(many=True, help_text="Seen by both.")
    unchecked = FindingBriefSerializer(
        many=True, help_text="Seen by the earlier scan; this one could not or did not look there."
    )
    opened = OpenPortSerializer(many=True, help_text="Open now, and not before.")
    closed = OpenPortSerializer(many=True, help_text="Open before, tried again, and not open now.")


class TopAssetSerializer(serializers.Serializer):
    """An asset with much to do."""

    id = serializers.IntegerField()
    address = serializers.CharField()
    hostname = serializers.CharField()
    name = serializers.CharField()
    criticality = serializers.ChoiceField(choices=Asset.Criticality.choices)
    active_findings = serializers.IntegerField()
    worst_severity = serializers.ChoiceField(choices=Severity.choices)


class FeedAgeSerializer(serializers.Serializer):
    """Vulnerability data that versions are judged by, and how old they are."""

    feed = serializers.CharField()
    name = serializers.CharField()
    published_at = serializers.DateTimeField()
    imported_at = serializers.DateTimeField()
    age_days = serializers.IntegerField()
    records = serializers.IntegerField()


class SummarySerializer(serializers.Serializer):
    """The findings in numbers."""

    by_severity = serializers.DictField(child=serializers.IntegerField())
    active_by_severity = serializers.DictField(child=serializers.IntegerField())
    by_state = serializers.DictField(child=serializers.IntegerField())
    top_assets = TopAssetSerializer(many=True)
    newest = FindingSerializer(many=True)
    vulnerability_data = FeedAgeSerializer(many=True)
