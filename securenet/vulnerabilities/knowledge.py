"""The imported data as a catalogue for matching, and how old they are."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.utils import timezone

from securenet.vulnerabilities.matching import Catalogue, Exploitation, KnownRange, Source
from securenet.vulnerabilities.models import AffectedRange, ExploitedVulnerability, Feed


def load_catalogue() -> Catalogue:
    """All that was imported; some megabytes, as only products that the scanner can tell are kept."""
    sources = {feed.pk: Source(f"{feed.get_kind_display()} ({feed.name})", feed.published_at) for feed in _feeds()}
    ranges: dict[str, list[KnownRange]] = defaultdict(list)
    rows = AffectedRange.objects.order_by("product", "pk").select_related("vulnerability")
    for row in rows.iterator(chunk_size=2000):
        told = row.vulnerability
        for cve in told.cves or [told.identifier]:
            ranges[row.product].append(
                KnownRange(
                    cve, row.start, row.start_included, row.end, row.end_included,
                    told.summary, told.cvss_vector, told.cvss_score, sources[told.feed_id],
                )
            )  # fmt: skip
    exploited = {
        row.cve: Exploitation(row.added, row.due, row.by_ransomware, sources[row.feed_id])
        for row in ExploitedVulnerability.objects.iterator(chunk_size=2000)
    }
    return Catalogue({product: tuple(known) for product, known in ranges.items()}, exploited)


def data_age(now: datetime | None = None) -> list[dict[str, Any]]:
    """What was imported and how old it is, the oldest first: to be shown wherever it is used."""
    now = now or timezone.now()
    return [
        {
            "feed": feed.kind,
            "name": feed.name,
            "published_at": feed.published_at,
            "imported_at": feed.imported_at,
            "age_days": feed.age_days(now),
            "records": feed.records_kept,
        }
        for feed in _feeds()
    ]


def _feeds() -> list[Feed]:
    return list(Feed.objects.order_by("published_at", "pk"))
