"""JSON lines of several writers, and JSON made to hurt."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from log_samples import NOW, parsed

from securenet.logs.analysis import analyse
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


NGINX_JSON = (
    '{"time_local": "20/Nov/2026:09:00:01 +0100", "remote_addr": "192.0.2.1", "remote_user": "-", '
    '"request": "GET /a?b=1 HTTP/1.1", "status": "404", "body_bytes_sent": "153", "http_referer": "-", '
    '"http_user_agent": "curl/8.5.0"}'
)
NGINX_PARTS = (
    '{"msec": "1795161601.000", "remote_addr": "192.0.2.1", "remote_user": "", "request_method": "GET", '
    '"request_uri": "/a?b=1", "status": 404, "bytes_sent": 153, "http_user_agent": "curl/8.5.0"}'
)
CADDY = (
    '{"level": "info", "ts": 1795161601.0, "logger": "http.log.access", "msg": "handled request", "request": '
    '{"remote_ip": "192.0.2.1", "client_ip": "192.0.2.1", "proto": "HTTP/1.1", "method": "GET", "uri": "/a?b=1"}, '
    '"size": 153, "status": 404, "user_agent": "curl/8.5.0"}'
)
TRAEFIK = (
    '{"ClientAddr": "192.0.2.1:5", "ClientHost": "192.0.2.1", "ClientUsername": "-", "DownstreamContentSize": 153, '
    '"DownstreamStatus": 404, "RequestMethod": "GET", "RequestPath": "/a?b=1", "time": "2026-11-20T08:00:01Z", '
    '"user_agent": "curl/8.5.0"}'
)


@pytest.mark.parametrize("line", [NGINX_JSON, NGINX_PARTS, CADDY, TRAEFIK], ids=["nginx", "parts", "caddy", "traefik"])
def test_an_access_log_as_json_says_what_one_as_text_says(line: str) -> None:
    event = parsed(line)
    assert (event.kind, event.source_ip, event.user) == (Kind.HTTP_REQUEST, "192.0.2.1", None)
    assert event.time == TIME
    expected = {"method": "GET", "path": "/a", "query": "b=1", "status": "404", "size": "153", "agent": "curl/8.5.0"}
    assert expected.items() <= event.fields.items()
    assert "referrer" not in event.fields


@pytest.mark.parametrize("status", ["ok", 40, 4040, "\u0664\u0660\u0664", True, None])
def test_what_is_no_status_of_a_request_is_left_out(status: object) -> None:
    event = of(method="GET", path="/.env", src_ip="192.0.2.1", status=status)
    assert event.kind == Kind.HTTP_REQUEST
    assert "status" not in event.fields
    analyse([event])


@pytest.mark.parametrize("request_line", ["please do", "GET", "GET  HTTP/1.1", "\u0000", "x" * 5000])
def test_a_request_that_is_no_request_line_is_none(request_line: str) -> None:
    assert of(request=request_line, remote_addr="192.0.2.1").kind == Kind.OTHER
