"""The ``cache_warm`` job type: fills the cache by policy and role, and reports what it filled."""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from django.contrib.auth.models import Group
from django.db import connections
from rest_framework import serializers

from perf.caching.warm import Warmed, WarmRequest, plan, warm
from perf.conf import setting
from perf.jobs.registry import job_type
from perf.jobs.running import RunningJob
from perf.models import CachePolicy

log = logging.getLogger(__name__)


class WarmParams(serializers.Serializer[Any]):
    """Policies and roles by name; all of them by default."""

    policies = serializers.ListField(child=serializers.SlugField(), required=False, max_length=100)
    roles = serializers.ListField(child=serializers.CharField(max_length=150), required=False, max_length=20)

    def validate_policies(self, names: list[str]) -> list[str]:
        return _known(names, CachePolicy.objects.filter(name__in=names).values_list("name", flat=True), "cache policy")

    def validate_roles(self, names: list[str]) -> list[str]:
        return _known(names, Group.objects.filter(name__in=names).values_list("name", flat=True), "role")


@job_type("cache_warm", params=WarmParams)
def cache_warm(job: RunningJob, params: dict[str, Any]) -> dict[str, Any]:
    """Request every cached view of the policies once per role."""
    roles = params.get("roles") or list(Group.objects.order_by("name").values_list("name", flat=True))
    requests, skipped = plan(params.get("policies", []), roles)
    counts: Counter[str] = Counter()
    by_policy: dict[str, Counter[str]] = {}
    with ThreadPoolExecutor(max_workers=int(setting("WARM_THREADS")), thread_name_prefix="perf-warm") as threads:
        running = {threads.submit(_warm_one, request): request for request in requests}
        try:
            for number, done in enumerate(as_completed(running), start=1):
                request, result = running[done], done.result().value
                counts[result] += 1
                by_policy.setdefault(request.policy, Counter())[result] += 1
                job.progress(number / len(requests), f"{request.view.template} as {request.role}")
        finally:
            threads.shutdown(cancel_futures=True)  # a job that is stopped starts no further requests
    return {
        **{outcome.value: counts[outcome.value] for outcome in Warmed},
        "by_policy": {name: dict(results) for name, results in by_policy.items()},
        "not_shared_by_role": skipped,
    }


def _warm_one(request: WarmRequest) -> Warmed:
    try:
        return warm(request)
    except Exception:
        # One view that fails must not keep the others cold; it is counted, and the log says why.
        log.exception("Warming %s as %s failed.", request.view.template, request.role)
        return Warmed.NOT_FILLED
    finally:
        connections.close_all()  # this thread's own


def _known(names: list[str], found: Any, kind: str) -> list[str]:
    missing = sorted(set(names) - set(found))
    if missing:
        raise serializers.ValidationError(f"There is no {kind} named {', '.join(missing)}.")
    return names
