"""Reads the time stamps of log lines into aware UTC datetimes.

Every function returns None for text that is no believable time: a stamp more than `FUTURE_SLACK` ahead of the
reference time is a broken clock or a forgery, and believing it would move every sliding window.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from securenet.logs.parsers.event import Context

FUTURE_SLACK = timedelta(days=1)
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_YEARS_BACK = 8  # the longest distance between two 29ths of February (around a year like 2100)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))  # magnitude from which it is ns, µs, ms, s


@lru_cache(maxsize=1024)  # neighbouring lines share their second
def from_rfc3164(stamp: str, now: datetime, zone: tzinfo) -> datetime | None:
    """Read ``Mmm dd hh:mm:ss`` in ``zone`` (RFC 3164, section 4.1.2); it names neither year nor zone.

    The year is the latest that puts the stamp no further than `FUTURE_SLACK` after the reference time, so a
    line of 31 December read on 1 January belongs to the old year. A local time that occurs twice (end of
    daylight saving) is taken as the first.
    """
    month = _MONTHS.get(stamp[:3])
    if month is None:
        return None
    latest = now + FUTURE_SLACK
    newest = latest.astimezone(zone).year
    try:
        day, hour, minute = int(stamp[4:6]), int(stamp[7:9]), int(stamp[10:12])
        second = min(int(stamp[13:15]), 59)  # a leap second is written :60
    except ValueError:
        return None
    for year in range(newest, max(newest - _YEARS_BACK, 1970) - 1, -1):
        try:
            time = datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
        except ValueError:
            if (month, day) != (2, 29):
                return None
            continue
        if time <= latest:
            return time
    return None


def from_iso8601(stamp: str, context: Context) -> datetime | None:
    """Read an ISO 8601 or RFC 3339 stamp; one without offset is in the default time zone."""
    try:
        return _believable(datetime.fromisoformat(stamp), context)
    except ValueError:
        return None


def from_access_log(stamp: str, context: Context) -> datetime | None:
    """Read ``10/Oct/2026:13:55:36 -0700`` (Apache, nginx) or ``2026-10-10 13:55:36 -0700`` (Granian)."""
    if stamp[4:5] == "-":
        return from_iso8601(stamp.replace(" ", "T", 1).replace(" ", ""), context)
    month = _MONTHS.get(stamp[3:6])
    if month is None:
        return None
    try:
        return _believable(
            datetime(
                int(stamp[7:11]),
                month,
                int(stamp[0:2]),
                int(stamp[12:14]),
                int(stamp[15:17]),
                min(int(stamp[18:20]), 59),
                tzinfo=_offset(stamp[21:26]),
            ),
            context,
        )
    except ValueError:
        return None


def from_apache_error_log(stamp: str, context: Context) -> datetime | None:
    """Read ``Wed Oct 11 14:32:52.123456 2026``, the microseconds optional, in the default time zone."""
    month = _MONTHS.get(stamp[4:7])
    if month is None:
        return None
    clock, _, fraction = stamp[11:-5].partition(".")
    try:
        hour, minute, second = map(int, clock.split(":"))
        microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
        day, year = int(stamp[8:10]), int(stamp[-4:])
        return _believable(datetime(year, month, day, hour, minute, min(second, 59), microsecond), context)
    except ValueError:
        return None


def from_number(value: float | str, context: Context) -> datetime | None:
    """Read seconds, milli-, micro- or nanoseconds since 1970; the magnitude tells which."""
    try:
        number = float(value)
        divisor = next(divisor for least, divisor in _EPOCH_UNITS if number >= least)
        return _believable(datetime.fromtimestamp(number / divisor, UTC), context)
    except (ValueError, OverflowError, OSError, StopIteration):
        return None


def _believable(time: datetime, context: Context) -> datetime | None:
    if time.tzinfo is None:
        time = time.replace(tzinfo=context.default_timezone)
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        return None
    return time if _EARLIEST <= time <= context.now + FUTURE_SLACK else None


def _offset(text: str) -> tzinfo | None:
    if not text:
        return None
    if text == "+0000":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
