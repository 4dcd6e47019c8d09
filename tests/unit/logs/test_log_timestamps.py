"""Times of log lines: the missing year, the missing zone, and stamps that are not to be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.logs.parsers.event import Context
from securenet.logs.parsers.timestamps import from_access_log, from_iso8601, from_number, from_rfc3164

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTEXT = Context(NOW, UTC)


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        ("Nov 22 11:59:59", NOW, datetime(2026, 11, 22, 11, 59, 59, tzinfo=UTC)),
        (
            "Dec 31 23:59:59",
            datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC),
            datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
        ),
        # A machine whose clock is a little ahead has its new year early.
        (
            "Jan  1 00:00:03",
            datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC),
            datetime(2027, 1, 1, 0, 0, 3, tzinfo=UTC),
        ),
        ("Nov 24 12:00:00", NOW, datetime(2025, 11, 24, 12, 0, tzinfo=UTC)),
        ("Feb 29 01:02:03", NOW, datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
        ("Nov  5 23:59:60", NOW, datetime(2026, 11, 5, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_rfc3164_takes_the_latest_year_that_is_not_in_the_future(stamp: str, now: datetime, expected: datetime) -> None:
    assert from_rfc3164(stamp, now, UTC) == expected


@pytest.mark.parametrize("stamp", ["Foo 10 11:12:13", "Nov 31 11:12:13", "Nov 10 25:12:13", "Nov xx 11:12:13", ""])
def test_rfc3164_refuses_what_is_no_date(stamp: str) -> None:
    assert from_rfc3164(stamp, NOW, UTC) is None


def test_local_time_is_read_in_the_given_zone_summer_and_winter() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert from_rfc3164("Jul  1 12:00:00", NOW, berlin) == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    assert from_rfc3164("Nov  1 12:00:00", NOW, berlin) == datetime(2026, 11, 1, 11, 0, tzinfo=UTC)
    # 02:30 happens twice on the night the clocks go back; the first is meant.
    assert from_rfc3164("Oct 25 02:30:00", NOW, berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_year_turns_by_the_zone_of_the_line() -> None:
    auckland = timezone(timedelta(hours=13))
    now = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)  # 1 January, 01:00 there
    assert from_rfc3164("Jan  1 00:30:00", now, auckland) == datetime(2026, 12, 31, 11, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    st.integers(-86_400, 300 * 86_400),
)
@settings(deadline=None)
def test_a_line_not_older_than_300_days_gets_its_true_year(now: datetime, age: int) -> None:
    written = now.replace(microsecond=0) - timedelta(seconds=age)
    assert from_rfc3164(f"{written:%b} {written.day:2d} {written:%H:%M:%S}", now, UTC) == written


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-20T01:02:03Z", datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-20T01:02:03.250+02:00", datetime(2026, 11, 19, 23, 2, 3, 250_000, tzinfo=UTC)),
        ("2026-11-20T01:02:03", datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2099-01-01T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_iso_8601(stamp: str, expected: datetime | None) -> None:
    assert from_iso8601(stamp, CONTEXT) == expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("10/Oct/2026:13:55:36 -0700", datetime(2026, 10, 10, 20, 55, 36, tzinfo=UTC)),
        ("10/Oct/2026:13:55:36 +0530", datetime(2026, 10, 10, 8, 25, 36, tzinfo=UTC)),
        ("10/Oct/2026:13:55:36", datetime(2026, 10, 10, 13, 55, 36, tzinfo=UTC)),
        ("2026-10-10 13:55:36 +0000", datetime(2026, 10, 10, 13, 55, 36, tzinfo=UTC)),
        ("31/Feb/2026:13:55:36 +0000", None),
        ("10/Okt/2026:13:55:36 +0000", None),
        ("10/Oct/2026:13:55:36 +9999", None),
        ("", None),
    ],
)
def test_access_log_stamps(stamp: str, expected: datetime | None) -> None:
    assert from_access_log(stamp, CONTEXT) == expected


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_an_epoch_number_is_read_in_the_unit_its_size_tells(unit: int) -> None:
    seconds = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
    assert from_number(seconds * unit, CONTEXT) == datetime(2026, 11, 20, tzinfo=UTC)
    assert from_number(str(seconds * unit), CONTEXT) == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, 10**40, "x", "9" * 5000])
def test_an_impossible_number_is_no_time(value: float | str) -> None:
    assert from_number(value, CONTEXT) is None
