"""The form of `perf.metrics.report.performance_report`, for the API's description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from perf.metrics.read import WINDOWS


class CacheCountsSerializer(serializers.Serializer[Any]):
    """What the cache did."""

    hits = serializers.IntegerField()
    misses = serializers.IntegerField()
    stale = serializers.IntegerField(help_text="Answered with an entry that was past its time.")
    total = serializers.IntegerField()
    hit_rate = serializers.FloatField(min_value=0, max_value=1)


class CacheReportSerializer(CacheCountsSerializer):
    """The same, and by cache policy."""

    by_policy = serializers.DictField(child=CacheCountsSerializer())


class LimitCountsSerializer(serializers.Serializer[Any]):
    """What a rate-limit policy decided."""

    allowed = serializers.IntegerField()
    blocked = serializers.IntegerField()
    observed = serializers.IntegerField(help_text="Would have been blocked, if the policy were enforced.")


class BlockedClientSerializer(serializers.Serializer[Any]):
    """A client that was blocked."""

    client = serializers.CharField()
    blocked = serializers.IntegerField()


class LimitReportSerializer(serializers.Serializer[Any]):
    """Requests, and what the limits did to them."""

    total = serializers.IntegerField()
    blocked = serializers.IntegerField()
    observed = serializers.IntegerField()
    block_rate = serializers.FloatField(min_value=0, max_value=1)
    by_policy = serializers.DictField(child=LimitCountsSerializer())
    top_blocked_clients = BlockedClientSerializer(many=True)


class JobCountsSerializer(serializers.Serializer[Any]):
    """Jobs by status."""

    submitted = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class JobReportSerializer(JobCountsSerializer):
    """The same by type, and the queue."""

    queue_size = serializers.IntegerField()
    capacity = serializers.IntegerField()
    by_type = serializers.DictField(child=JobCountsSerializer())
    workers = serializers.IntegerField()


class StoreSerializer(serializers.Serializer[Any]):
    """Redis, as the process sees it that answers."""

    state = serializers.ChoiceField(choices=["up", "down"])
    reason = serializers.CharField(help_text="Why it is down; empty while it is up.")
    round_trip_ms = serializers.FloatField()


class LatencySerializer(serializers.Serializer[Any]):
    """Percentiles of a route, in milliseconds."""

    count = serializers.IntegerField()
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class PointSerializer(serializers.Serializer[Any]):
    """Counts of a span of time, for charts."""

    time = serializers.IntegerField(help_text="When the span begins, in seconds since 1970.")
    requests = serializers.IntegerField()
    blocked = serializers.IntegerField()
    hits = serializers.IntegerField()
    misses = serializers.IntegerField()


class ReportSerializer(serializers.Serializer[Any]):
    """Cache, limits, jobs, store and latency, over all processes."""

    window = serializers.ChoiceField(choices=list(WINDOWS))
    api_cache = CacheReportSerializer()
    rate_limiting = LimitReportSerializer()
    background_jobs = JobReportSerializer()
    store = StoreSerializer()
    latency = serializers.DictField(child=LatencySerializer(), help_text="By route.")
    series = PointSerializer(many=True)
    revision = serializers.IntegerField(help_text="Number of the policies' revision.")
    timestamp = serializers.DateTimeField()
