"""JSON lines of several writers, and JSON made to hurt."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from log_samples import NOW, parsed

from securenet.logs.parsers import Event, Kind, parse_object

TIME = datetime(2026, 11, 20, 8, 0, 1, tzinfo=UTC)


def of(**record: object) -> Event:
    return parsed(json.dumps(record))


@pytest.mark.parametrize(
    "time",
    [
        {"time": "2026-11-20T08:00:01Z"},
        {"timestamp": "2026-11-20T09:00:01+01:00"},
        {"@timestamp": "2026-11-20T08:00:01.000Z"},
        {"ts": TIME.timestamp()},
        {"time": int(TIME.timestamp() * 1000)},
        {"__REALTIME_TIMESTAMP": str(int(TIME.timestamp() * 1e6))},
        {"time": True, "ts": TIME.timestamp()},
    ],
)
def test_the_time_is_found_under_its_usual_names(time: dict[str, object]) -> None:
    assert of(**time, message="x").time == TIME


def test_our_own_events_in_full() -> None:
    event = of(
        time="2026-11-20T08:00:01Z",
        message="login refused",
        source="portal",
        host="app1",
        level="WARNING",
        kind="auth.failure",
        src_ip="2001:DB8::1",
        user="alice",
        request_id="r-1",
        count=3,
    )
    assert (event.host, event.program, event.kind, event.message) == (
        "app1",
        "portal",
        Kind.AUTH_FAILURE,
        "login refused",
    )
    assert (event.source_ip, event.user, event.count) == ("2001:db8::1", "alice", 3)
    assert (event.fields["level"], event.fields["request_id"]) == ("warning", "r-1")


def test_elastic_common_schema_nested_and_flat() -> None:
    nested = of(source={"ip": "192.0.2.1"}, user={"name": "bob"}, host={"name": "h"}, event={"action": "login_failed"})
    flat = of(**{"source.ip": "192.0.2.1", "user.name": "bob", "host.name": "h", "event.action": "login_failed"})
    for event in (nested, flat):
        assert (event.kind, event.source_ip, event.user, event.host) == (
            Kind.AUTH_FAILURE,
            "192.0.2.1",
            "bob",
            "h",
        )


def test_a_journald_export_of_sshd_is_read_as_sshd() -> None:
    event = of(
        MESSAGE="Failed password for root from 192.0.2.1 port 5 ssh2",
        SYSLOG_IDENTIFIER="sshd",
        _PID="77",
        _HOSTNAME="h",
        PRIORITY="3",
    )
    assert (event.kind, event.source_ip, event.user, event.host) == (
        Kind.AUTH_FAILURE,
        "192.0.2.1",
        "root",
        "h",
    )
    assert (event.fields["pid"], event.fields["level"]) == ("77", "error")


def test_requests_are_recognised_by_their_method_and_target() -> None:
    event = of(remote_addr="192.0.2.1", request_method="GET", request_uri="/a?b=1", status=404)
    assert (event.kind, event.source_ip) == (Kind.HTTP_REQUEST, "192.0.2.1")
    assert (event.fields["path"], event.fields["query"], event.fields["status"]) == ("/a", "b=1", "404")


@pytest.mark.parametrize(
    "address", ["1.2.3", "example.org", "", 5, None, ["192.0.2.1"], {"x": 1}, "192.0.2.1, 10.0.0.1"]
)
def test_only_an_address_is_an_address(address: object) -> None:
    assert of(message="x", src_ip=address).source_ip is None


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 1), (-5, 1), (10**9, 100_000), (True, 1), ("7", 1), (2.5, 1), (7, 7)]
)
def test_a_count_is_kept_within_bounds(count: object, expected: int) -> None:
    assert of(message="x", count=count).count == expected


def test_text_from_json_is_cleaned_too() -> None:
    event = parsed('{"message": "a\\u0000b\\u001b[31m\\ud800c", "user": "x\\ny", "extra\\u0007": "\\u202ez"}')
    assert (event.message, event.user, event.fields["extra"]) == ("abc", "x y", "z")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[" * 8000,
        '{"a":' * 1500 + "1" + "}" * 1500,
        '{"time": ' + "9" * 5000 + "}",
        '{"time": 1e400, "count": 1e400}',
        '{"time": NaN, "ts": -Infinity}',
        "{}",
        '{"time": "9999-12-31T23:59:59-23:59"}',
        '"just text"',
        "[1, 2]",
        '{"message": {"deep": 1}, "user": [1], "level": {"a": 1}}',
    ],
)
def test_hostile_json_is_an_ordinary_event(line: str) -> None:
    event = parsed(line)
    assert (event.kind, event.time) == (Kind.OTHER, NOW)


def test_fields_are_bounded_in_number_and_length() -> None:
    record = {f"field{number}": "x" * 2000 for number in range(500)}
    event = parse_object(record, now=NOW, default_timezone=UTC)
    assert len(event.fields) <= 33
    assert max(map(len, event.fields.values())) <= 512
