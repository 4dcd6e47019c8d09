"""Lines and records -> rows. A batch is stored whole or not at all.

Taking in events drops no cached answers: a flood of lines must not be a flood of recomputing; the TTL bounds their age.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from securenet.logs.models import LogEvent
from securenet.logs.parsers import Event, Kind, parse_lines, parse_object
from securenet.logs.source import SOURCE_LENGTH
from securenet.logs.time_zones import time_zone_of

ROWS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What was stored. ``unparsed`` lines are kept as text, without a meaning."""

    accepted: int
    by_kind: Mapping[str, int]
    unparsed: int


def ingest_lines(
    lines: Iterable[str | bytes], *, source: str, received_at: datetime, first: Callable[[], None] | None = None
) -> IngestSummary:
    """Store log lines of any format; blank ones are left out.

    Args:
        lines: in any encoding; what is not UTF-8 is replaced. They are held in memory: some thousands, not millions.
        source: where they come from, at most 100 characters.
        received_at: when they arrived, aware; decides the year of stamps that have none.
        first: called in the transaction that stores the lines, before they are; if it raises, none is stored.
    """
    return _store(
        parse_lines(lines, now=received_at, default_timezone=time_zone_of(source)), source, received_at, first
    )


def ingest_records(records: Iterable[Mapping[str, Any]], *, source: str, received_at: datetime) -> IngestSummary:
    """Store events that come as JSON objects; otherwise as `ingest_lines`."""
    zone = time_zone_of(source)
    events = (parse_object(record, now=received_at, default_timezone=zone) for record in records)
    return _store(events, source, received_at)


def event_of(row: LogEvent) -> Event:
    """The parsed event that a row was made from."""
    return Event(
        time=row.time,
        host=row.host,
        program=row.program,
        kind=row.kind,
        source_ip=row.source_ip,
        user=row.user_name or None,
        count=row.count,
        fields=row.fields,
        message=row.message,
    )


def _store(
    events: Iterable[Event], source: str, received_at: datetime, first: Callable[[], None] | None = None
) -> IngestSummary:
    rows = [_row(event, source, received_at) for event in events]  # before the transaction: parsing takes its time
    with transaction.atomic():
        if first:
            first()
        LogEvent.objects.bulk_create(rows, batch_size=ROWS_AT_A_TIME)
    kinds = Counter(row.kind for row in rows)
    unparsed = sum(row.kind == Kind.OTHER and not row.program for row in rows)
    return IngestSummary(len(rows), dict(kinds), unparsed)


def _row(event: Event, source: str, received_at: datetime) -> LogEvent:
    return LogEvent(
        time=event.time,
        received_at=received_at,
        source=source[:SOURCE_LENGTH],
        host=event.host[:255],
        program=event.program[:64],
        kind=str(event.kind)[:32],
        source_ip=event.source_ip,
        user_name=(event.user or "")[:256],
        count=event.count,
        message=event.message,
        fields=dict(event.fields),
    )
