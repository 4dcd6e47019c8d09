"""The findings in numbers: what the summary endpoint answers, and dashboards may show."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Count, Max, Q

from securenet.network.models import Asset
from securenet.security.models import SEVERITY_RANKS, Finding, Severity

TOP_ASSETS: Final = 10
NEWEST: Final = 10
_SEVERITY_NAMES: Final = {rank: name for name, rank in SEVERITY_RANKS.items()}


def counts() -> dict[str, dict[str, int]]:
    """Findings by severity and by state, each name present. ``active_by_severity`` has the open and acknowledged."""
    by_severity = dict.fromkeys(Severity.values, 0)
    active = dict.fromkeys(Severity.values, 0)
    by_state = dict.fromkeys(Finding.State.values, 0)
    rows = Finding.objects.order_by().values_list("severity", "state").annotate(count=Count("pk"))
    for severity, state, count in rows:
        by_severity[severity] += count
        by_state[state] += count
        if state in Finding.ACTIVE:
            active[severity] += count
    return {"by_severity": by_severity, "active_by_severity": active, "by_state": by_state}


def top_assets(limit: int = TOP_ASSETS) -> list[dict[str, Any]]:
    """The assets with the worst active findings, then with the most."""
    is_active = Q(findings__state__in=Finding.ACTIVE)
    assets = (
        Asset.objects.filter(is_active)
        .annotate(active_findings=Count("findings"), worst=Max("findings__severity_rank"))
        .order_by("-worst", "-active_findings", "pk")[:limit]
    )
    return [
        {
            "id": asset.pk,
            "address": asset.address,
            "hostname": asset.hostname,
            "name": asset.name,
            "criticality": asset.criticality,
            "active_findings": asset.active_findings,
            "worst_severity": _SEVERITY_NAMES[asset.worst],
        }
        for asset in assets
    ]


def newest(limit: int = NEWEST) -> list[Finding]:
    """The active findings that were first seen last."""
    active = Finding.objects.filter(state__in=Finding.ACTIVE).select_related("asset", "triaged_by")
    return list(active.order_by("-first_seen", "-severity_rank", "-pk")[:limit])
