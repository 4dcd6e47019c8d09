"""Which format is this line? The formats in the order they are tried, and `parse_line`, which asks them.

A new format is one module whose parse function returns None for lines of other formats, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from securenet.logs.parsers.access import parse_access
from securenet.logs.parsers.error_logs import is_doubtful, parse_error_log
from securenet.logs.parsers.event import Context, Event, Kind
from securenet.logs.parsers.json_lines import parse_json_line, parse_record
from securenet.logs.parsers.syslog import parse_syslog
from securenet.logs.parsers.text import clean

FORMATS: dict[str, Callable[[str, Context], Event | None]] = {
    "json": parse_json_line,
    "syslog": parse_syslog,
    "error_log": parse_error_log,
    "access": parse_access,
}
"""Format name → parser, tried in this order; each refuses foreign lines by their first characters."""


def parse_line(line: str | bytes, *, now: datetime, default_timezone: tzinfo, default_host: str = "") -> Event:
    """Return the event of one log line, whatever its format.

    Content never raises: a line no format knows becomes a `Kind.OTHER` event at ``now`` whose message is its
    cleaned text.

    Args:
        line: one line, with or without its line end; bytes are read as UTF-8. Beyond 8 KiB it is cut, and the
            field `truncated` says so.
        now: reference time, aware: decides the year of RFC 3164 stamps and stands in for a missing or
            unbelievable time (the field `time_source` then says `received`).
        default_timezone: zone of stamps without an offset.
        default_host: host of formats that name none.

    Raises:
        ValueError: ``now`` is naive.
    """
    return _parse(line, context_of(now, default_timezone, default_host))


def parse_lines(
    lines: Iterable[str | bytes], *, now: datetime, default_timezone: tzinfo, default_host: str = ""
) -> Iterator[Event]:
    """Yield the event of each line that is not blank; otherwise as `parse_line`."""
    context = context_of(now, default_timezone, default_host)
    for line in lines:
        if not line.isspace() and line:
            yield _parse(line, context)


def parse_object(
    record: Mapping[str, object], *, now: datetime, default_timezone: tzinfo, default_host: str = ""
) -> Event:
    """Return the event of a decoded JSON object; otherwise as `parse_line`."""
    return parse_record(record, context_of(now, default_timezone, default_host))


def context_of(now: datetime, default_timezone: tzinfo, default_host: str) -> Context:
    """Return the context of a batch of lines, its reference time in UTC.

    Raises:
        ValueError: ``now`` is naive.
    """
    if now.tzinfo is None:
        raise ValueError(f"now={now!r} has no time zone; pass an aware datetime such as datetime.now(UTC).")
    return Context(now.astimezone(UTC), default_timezone, default_host)


def _parse(line: str | bytes, context: Context) -> Event:
    text, truncated = clean(line)
    event = next((event for parse in FORMATS.values() if (event := parse(text, context))), None)
    if event is None:
        fields = {"time_source": "received"}
        event = Event(context.now, context.default_host, "", Kind.OTHER, None, None, 1, fields, text)
    if event.source_ip and is_doubtful(event, _length(line)):
        event = replace(event, source_ip=None)
    if truncated:
        event = replace(event, fields={**event.fields, "truncated": "true"})
    return event


def _length(line: str | bytes) -> int:
    return len(line if isinstance(line, bytes) else line.encode("utf-8", "replace"))
