"""Feeds -> rows. A file is imported whole or not at all; an older one never replaces what a newer one said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from perf.caching import invalidate
from securenet.vulnerabilities import models
from securenet.vulnerabilities.feeds import Exploited, Feed, NotAFeed, Record, Withdrawn, read_feed

ROWS_AT_A_TIME: Final = 500
TAGS: Final = ("vulnerabilities",)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. ``kept`` of the ``read`` records concern products we know; ``older`` were known better."""

    feed: models.Feed
    read: int
    kept: int
    older: int


def import_feed(path: Path, *, user: Any = None, on_read: Callable[[int], None] = lambda records: None) -> Imported:
    """Import a file; importing it again changes nothing but the time of import.

    Args:
        path: NVD JSON 2.0, OSV (JSON or zip) or KEV JSON, also with gzip.
        user: who imports it.
        on_read: called now and then with the number of records read.

    Raises:
        NotAFeed: it cannot be read, or does not say of what time it is, or claims to be of the future.
    """
    read = read_feed(path, on_read)
    now = timezone.now()
    if read.published_at is None:
        raise NotAFeed(f"{path} does not say when its data were published; import a file as its publisher gives it.")
    if read.published_at > now:
        raise NotAFeed(f"{path} claims to be of {read.published_at:%Y-%m-%d}, which is to come; check this clock.")
    with transaction.atomic():
        feed = _feed_row(path.name, read, read.published_at, user, now)
        older = _store(feed, read.entries)
        kept = sum(not isinstance(entry, Withdrawn) for entry in read.entries) - older
        feed.records_kept = kept
        feed.save(update_fields=["records_kept"])
        invalidate(tags=TAGS)
    return Imported(feed, read.read, kept, older)


def _feed_row(name: str, read: Feed, published_at: datetime, user: Any, now: datetime) -> models.Feed:
    known = models.Feed.objects.select_for_update().filter(kind=read.kind.value, name=name).first()
    if known and known.published_at > published_at:
        raise NotAFeed(
            f"{name} is of {published_at:%Y-%m-%d}, but data of {known.published_at:%Y-%m-%d} are there under "
            "this name; delete that feed first if the older ones are wanted."
        )
    feed, _ = models.Feed.objects.update_or_create(
        kind=read.kind.value,
        name=name,
        defaults={
            "published_at": published_at,
            "imported_at": now,
            "imported_by": user,
            "records_read": read.read,
            "records_kept": 0,
        },
    )
    return feed


def _store(feed: models.Feed, entries: Iterable[Record | Withdrawn | Exploited]) -> int:
    """Store what is new; returns how many records a newer file of another name had said more lately."""
    records: dict[str, Record | Withdrawn] = {}
    exploited: dict[str, Exploited] = {}
    for entry in entries:
        if isinstance(entry, Exploited):
            exploited[entry.cve] = entry
        else:
            records[entry.identifier] = entry
    if exploited:
        _store_exploited(feed, exploited)
    newer = _told_by_newer(feed, records)
    for identifier in newer:
        del records[identifier]
    for chunk in _chunks(list(records)):
        models.Vulnerability.objects.filter(identifier__in=chunk).delete()
    kept = [record for record in records.values() if isinstance(record, Record)]
    rows = models.Vulnerability.objects.bulk_create(
        (_vulnerability_row(feed, record) for record in kept), batch_size=ROWS_AT_A_TIME
    )
    models.AffectedRange.objects.bulk_create(
        (row for stored, record in zip(rows, kept, strict=True) for row in _range_rows(stored, record)),
        batch_size=ROWS_AT_A_TIME,
    )
    return len(newer)


def _told_by_newer(feed: models.Feed, records: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for chunk in _chunks(list(records)):
        newer = models.Vulnerability.objects.filter(identifier__in=chunk, feed__published_at__gt=feed.published_at)
        found.update(newer.values_list("identifier", flat=True))
    return found


def _store_exploited(feed: models.Feed, exploited: dict[str, Exploited]) -> None:
    """The catalogue is one list; what is in it no more is not exploited any more."""
    newest = models.Feed.objects.filter(kind=models.Feed.Kind.KEV).order_by("-published_at").first()
    if newest is not None and newest != feed and newest.published_at > feed.published_at:
        return
    models.ExploitedVulnerability.objects.all().delete()
    models.ExploitedVulnerability.objects.bulk_create(
        (
            models.ExploitedVulnerability(
                feed=feed, cve=entry.cve, name=entry.name, added=entry.added, due=entry.due,
                by_ransomware=entry.by_ransomware,
            )
            for entry in exploited.values()
        ),
        batch_size=ROWS_AT_A_TIME,
    )  # fmt: skip


def _vulnerability_row(feed: models.Feed, record: Record) -> models.Vulnerability:
    return models.Vulnerability(
        feed=feed,
        identifier=record.identifier,
        cves=list(record.cves),
        summary=record.summary,
        cvss_vector=record.cvss_vector,
        cvss_score=record.cvss_score,
        published_at=record.published,
    )


def _range_rows(stored: models.Vulnerability, record: Record) -> list[models.AffectedRange]:
    return [
        models.AffectedRange(
            vulnerability=stored,
            product=each.product[:200],
            start=each.start,
            start_included=each.start_included,
            end=each.end,
            end_included=each.end_included,
        )
        for each in record.ranges
    ]


def _chunks(identifiers: list[str]) -> list[list[str]]:
    return [identifiers[start : start + ROWS_AT_A_TIME] for start in range(0, len(identifiers), ROWS_AT_A_TIME)]
