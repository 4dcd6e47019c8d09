"""Syslog frames: RFC 3164, RFC 5424, rsyslog's ISO stamps, and programs inside them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from log_samples import NOW, parsed

from securenet.logs.parsers import Kind, parse_line

TIME = datetime(2026, 11, 20, 8, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "host", "program", "pid", "message"),
    [
        ("Nov 20 08:00:01 web1 cron[12]: (root) CMD (x)", "web1", "cron", "12", "(root) CMD (x)"),
        ("<86>Nov 20 08:00:01 web1 su: pam thing", "web1", "su", None, "pam thing"),
        ("Nov 20 08:00:01 web1 kernel: [12.3] oops: bad", "web1", "kernel", None, "[12.3] oops: bad"),
        ("Nov 20 08:00:01 web1 no tag here", "web1", "", None, "no tag here"),
        ("2026-11-20T09:00:01.000000+01:00 web1 a.b-c/d[7]: m", "web1", "a.b-c/d", "7", "m"),
        ("2026-11-20 08:00:01 web1 app: m", "web1", "app", None, "m"),
        ("<34>1 2026-11-20T08:00:01Z web1 app 99 ID47 - hello: world", "web1", "app", "99", "hello: world"),
        ("<34>1 2026-11-20T08:00:01Z - - - - -", "", "", None, ""),
        (
            '<34>1 2026-11-20T08:00:01Z web1 app - - [a@1 b="c \\] \\" d"][e] text',
            "web1",
            "app",
            None,
            "text",
        ),
        ("62 <34>1 2026-11-20T08:00:01Z web1 app 99 - - counted", "web1", "app", "99", "counted"),
    ],
)
def test_frames(line: str, host: str, program: str, pid: str | None, message: str) -> None:
    event = parsed(line)
    assert (event.time, event.host, event.program, event.message) == (TIME, host, program, message)
    assert event.fields.get("pid") == pid
    assert "time_source" not in event.fields


def test_the_priority_gives_the_level() -> None:
    assert parsed("<11>Nov 20 08:00:01 web1 app: x").fields["level"] == "error"
    assert parsed("<165>1 2026-11-20T08:00:01Z web1 app - - - x").fields["level"] == "notice"


def test_structured_data_is_kept() -> None:
    event = parsed('<34>1 2026-11-20T08:00:01Z web1 app - - [origin ip="192.0.2.1"] text')
    assert event.fields["structured_data"] == '[origin ip="192.0.2.1"]'


@pytest.mark.parametrize(
    "line",
    [
        "Nov 20 08:00:01 web1 sshd[5]: {}",
        "<86>1 2026-11-20T08:00:01Z web1 sshd 5 - - {}",
        "2026-11-20T08:00:01+00:00 web1 sshd-session[5]: {}",
    ],
)
def test_sshd_is_understood_in_every_frame(line: str) -> None:
    event = parsed(line.format("Failed password for root from 192.0.2.1 port 5 ssh2"))
    assert (event.kind, event.source_ip, event.fields["pid"], event.time) == (
        Kind.AUTH_FAILURE,
        "192.0.2.1",
        "5",
        TIME,
    )


def test_an_access_log_sent_over_syslog_is_understood() -> None:
    event = parsed('Nov 20 08:00:01 edge nginx: 192.0.2.1 - - [20/Nov/2026:08:00:00 +0000] "GET /.env HTTP/1.1" 404 5')
    assert (event.kind, event.host, event.source_ip, event.fields["path"]) == (
        Kind.HTTP_REQUEST,
        "edge",
        "192.0.2.1",
        "/.env",
    )


def test_pam_is_understood_in_any_program() -> None:
    event = parsed(
        "Nov 20 08:00:01 ftp vsftpd[9]: pam_unix(vsftpd:auth): authentication failure; "
        "logname= uid=0 euid=0 tty=ftp ruser=bob rhost=192.0.2.1  user=bob"
    )
    assert (event.kind, event.source_ip, event.user) == (Kind.AUTH_PAM_FAILURE, "192.0.2.1", "bob")


def test_stamps_without_offset_are_in_the_zone_given() -> None:
    event = parse_line("Nov 20 09:00:01 web1 app: x", now=NOW, default_timezone=ZoneInfo("Europe/Berlin"))
    assert event.time == TIME


@pytest.mark.parametrize("stamp", ["2099-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "nonsense"])
def test_an_unbelievable_time_is_replaced_and_said_so(stamp: str) -> None:
    event = parsed(f"<34>1 {stamp} web1 app - - - x")
    assert (event.time, event.fields["time_source"], event.host) == (NOW, "received", "web1")


def test_structured_data_and_an_octet_count_stand_before_what_a_program_says() -> None:
    event = parsed(
        '185 <86>1 2026-11-20T08:00:01.003Z web1.example.org sshd 4711 - [timeQuality tzKnown="1" isSynced="1"]'
        '[origin@32473 software="rsyslogd" x="a\\"\\]b"] \ufeffFailed password for root from 192.0.2.1 port 5 ssh2'
    )
    assert (event.kind, event.source_ip, event.user, event.host) == (
        Kind.AUTH_FAILURE,
        "192.0.2.1",
        "root",
        "web1.example.org",
    )
    assert event.fields["structured_data"].startswith('[timeQuality tzKnown="1"')
    assert event.fields["level"] == "info"


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        ("Dec 31 23:59:58", datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)),
        ("Jan  1 00:00:01", datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("Jan  1 00:00:01", datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("Jan  3 08:00:00", datetime(2026, 12, 31, 23, 0, 0, tzinfo=UTC), datetime(2026, 1, 3, 8, 0, 0, tzinfo=UTC)),
    ],
)
def test_lines_around_new_year_are_of_the_year_they_were_written_in(
    stamp: str, now: datetime, expected: datetime
) -> None:
    event = parse_line(f"{stamp} web1 su[9]: FAILED SU (to root) alice on pts/0", now=now, default_timezone=UTC)
    assert (event.time, event.kind) == (expected, Kind.PRIVILEGE_DENIED)
