"""Whatever the bytes: an event comes back, in bounded time, and can be stored."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import NOW, log_sample, parsed

from securenet.logs.analysis import analyse
from securenet.logs.detectors import (
    DETECTORS,
    BreakInAttemptDetector,
    BruteForceDetector,
    Detector,
    DistributedGuessingDetector,
    ErrorBurstDetector,
    LoginAfterFailuresDetector,
    LowAndSlowDetector,
    NewSourceForPrivilegedUserDetector,
    PasswordSprayDetector,
    PathScanDetector,
    PrivilegeDeniedDetector,
    RateAnomalyDetector,
    RequestBurstDetector,
    UserEnumerationDetector,
)
from securenet.logs.parsers import Event, parse_line, parse_lines

SEEDS = [
    *random.Random(7).sample(log_sample(7, benign=3).lines(), 60),
    '{"time": "2026-11-20T08:00:01Z", "message": "x", "src_ip": "192.0.2.1", "user": {"name": "y"}}',
    '<34>1 2026-11-20T08:00:01Z web1 app 99 ID47 [a@1 b="c"] hello',
    "2026-11-20T08:00:01.5+01:00 web1 sshd-session[7]: Connection closed by invalid user x 192.0.2.1 port 7",
    "Nov 20 08:00:01 h sshd[7]: reverse mapping checking getaddrinfo for a.example [192.0.2.1] failed.",
    "Nov 20 08:00:01 h sshd[7]: Address 192.0.2.1 maps to a.example, but this does not map back to the address.",
    'Nov 20 08:00:01 h sshd[7]: Nasty PTR record "192.0.2.2" is set up for 192.0.2.1, ignoring',
    "Nov 20 08:00:01 h sshd[7]: Accepted password for root from 192.0.2.1 port 5 ssh2",
    "Nov 20 08:00:01 h sshd[7]: message repeated 3 times: [ Failed password for x from 192.0.2.1 port 5]",
    "Nov 20 08:00:01 h sudo[7]:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/shadow",
    "Nov 20 08:00:01 h sudo[7]: alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=list",
    "Nov 20 08:00:01 h su[7]: FAILED SU (to root) alice on pts/0",
    "Nov 20 08:00:01 h su[7]: FAILED su for root by alice",
    "Nov 20 08:00:01 h su[7]: + /dev/pts/0 alice:root",
    "[Fri Nov 20 08:00:01.123456 2026] [core:error] [pid 7:tid 8] (13)Denied: [client 192.0.2.1:5] AH00128: x",
    "[Fri Nov 20 08:00:01 2026] [error] [client 192.0.2.1] File does not exist: /srv/x",
    '2026/11/20 08:00:01 [error] 7#0: *5 open() "/x" failed, client: 192.0.2.1, server: a, request: "GET /x HTTP/1.1"',
    '{"time_local": "20/Nov/2026:08:00:01 +0000", "ip": "192.0.2.1", "request": "GET / HTTP/1.1", "status": 404}',
]
SPLICES = [
    b"\x00",
    b"\xff",
    b"\x1b[",
    b" from 1.2.3.4 port 22 ssh2",
    b"%2e%2e%2f",
    b'"',
    b"\\",
    b"{",
    b"[" * 50,
    b"\n",
    b" " * 30,
    b" ; USER=root ; COMMAND=",
    b", client: 1.2.3.4, server: x",
    b"[client 1.2.3.4:5] ",
    b" by root",
    b'"status": "ok", ',
]


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    line = draw(st.sampled_from(SEEDS)).encode()
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(line))), draw(st.integers(0, 12))
        line = line[:at] + draw(st.one_of(st.sampled_from(SPLICES), st.binary(max_size=6))) + line[at + length :]
    return line


def assert_well_formed(event: Event) -> None:
    assert event.time.tzinfo is UTC
    assert event.count >= 1
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in event.fields.items())
    for text in (
        event.host,
        event.program,
        event.kind,
        event.user or "",
        event.message,
        *event.fields.values(),
    ):
        text.encode("utf-8")
        assert "\x00" not in text
        assert "\n" not in text
    assert len(event.user or "") <= 256


@given(st.one_of(mutated_lines(), st.binary(max_size=300), st.text(st.characters(codec=None), max_size=300)))
@settings(max_examples=500, deadline=None)
def test_any_line_becomes_a_well_formed_event(line: bytes | str) -> None:
    assert_well_formed(parsed(line))


@given(st.lists(mutated_lines(), max_size=30))
@settings(max_examples=100, deadline=None)
def test_detectors_take_any_event(lines: list[bytes]) -> None:
    report = analyse(parse_lines(lines, now=NOW, default_timezone=UTC))
    assert report.events == sum(1 for line in lines if line.strip(b" \t\r\n\v\f"))


def eager_detectors() -> list[Detector]:
    """Detectors that report at the first occasion, so that what they say is made of any line as well."""
    moment, always = timedelta(0), {"threshold": 1, "max_sources": 3}
    return [
        BruteForceDetector(**always),
        LowAndSlowDetector(spread=moment, **always),
        PasswordSprayDetector(**always),
        DistributedGuessingDetector(threshold=1, max_users=3),
        UserEnumerationDetector(**always),
        LoginAfterFailuresDetector(**always),
        NewSourceForPrivilegedUserDetector(users={"root", "x", ""}, learning=moment, max_networks=2),
        BreakInAttemptDetector(max_sources=3),
        PathScanDetector(**always),
        RequestBurstDetector(**always),
        ErrorBurstDetector(threshold=1, max_programs=3),
        PrivilegeDeniedDetector(threshold=1, max_users=3),
        RateAnomalyDetector(threshold=1, least=1, history=1, max_series=3),
    ]


def test_every_detector_is_among_the_eager_ones() -> None:
    assert {detector.name for detector in eager_detectors()} == set(DETECTORS)


@given(st.lists(mutated_lines(), max_size=30))
@settings(max_examples=200, deadline=None)
def test_what_detectors_say_of_any_event_can_be_stored(lines: list[bytes]) -> None:
    for found in analyse(parse_lines(lines, now=NOW, default_timezone=UTC), eager_detectors()).detections:
        assert found.count >= 0
        assert found.first_seen <= found.last_seen
        text = "".join([found.title, found.description, found.subject, json.dumps(dict(found.evidence))])
        text.encode()
        assert "\x00" not in text


@pytest.mark.parametrize(
    "line",
    [
        "a" * 8000,
        "{" * 8000,
        "<" * 8000,
        "Nov 20 08:00:01 h sshd[1]: " + "Failed password for " + "from 1.2.3.4 port 22 " * 350,
        "Nov 20 08:00:01 h sshd[1]: Failed password for " + "invalid user " * 600,
        "Nov 20 08:00:01 h sshd[1]: Failed publickey for x from 1.2.3.4 port 2 ssh2: a b ID "
        + "(serial 1) CA a " * 450,
        "Nov 20 08:00:01 h sshd[1]: message repeated 3 times: [ " + "] [" * 2500,
        "Nov 20 08:00:01 h sshd[1]: error: PAM: Authentication failure for " + "x for y from " * 550,
        "Nov 20 08:00:01 h sshd[1]: Connection closed by invalid user " + "1.2.3.4 port 2 " * 500,
        "Nov 20 08:00:01 h sshd[1]: Bad protocol version identification '" + "' from " * 1000,
        "Nov 20 08:00:01 h sshd[1]: pam_unix(a:auth): authentication failure; logname="
        + " uid= euid= tty= ruser=" * 300,
        "Nov 20 08:00:01 h sshd[1]: reverse mapping checking getaddrinfo for " + "[1.2.3.4]" * 800,
        "Nov 20 08:00:01 h sshd[1]: Address 1.2.3.4 maps to " + "a, but this does not map back" * 250,
        'Nov 20 08:00:01 h sshd[1]: Nasty PTR record "' + '" is set up for 1.2.3.4' * 300,
        "Nov 20 08:00:01 h sudo[1]: " + "a b " * 1900,
        "Nov 20 08:00:01 h sudo[1]: " + "a : " * 1900,
        "Nov 20 08:00:01 h sudo[1]: a : " + "USER=x ; COMMAND=y ; " * 380,
        "Nov 20 08:00:01 h sudo[1]: a : " + "not " * 60 + "; " * 3800,
        "Nov 20 08:00:01 h su[1]: FAILED su for " + "x by " * 1600,
        "Nov 20 08:00:01 h su[1]: FAILED SU (to " + ") a on b " * 880,
        "Nov 20 08:00:01 h su[1]: + x " + "a:" * 3900,
        "Nov 20 08:00:01 h su[1]: " + "a to b on /dev/" * 530,
        "[Fri Nov 20 08:00:01 2026] [core:error] [pid 1] " + "(1)a: " * 1300,
        "[Fri Nov 20 08:00:01 2026] [core:error] [pid 1] " + "[client 1.2.3.4] " * 460,
        "[Fri Nov 20 08:00:01 2026] " + "[" * 7900,
        "2026/11/20 08:00:01 [error] 7#0: *5 " + ", client: 1.2.3.4" * 450,
        "2026/11/20 08:00:01 [error] 7#0: *5 a, client: " + "1.2.3.4" * 250,
        '2026/11/20 08:00:01 [error] 7#0: *5 a, client: 1.2.3.4, request: "GET ' + "HTTP/1.1" * 200,
        '{"request": "GET ' + "/ HTTP/1.1 " * 700 + '"}',
        "<1>1 - - - - - " + '[a b="c"]' * 800 + "!",
        "<1>1 - - - - - " + '[a b="' + "\\]" * 3500,
        "1.2.3.4 - " + "[a] " * 1900,
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "' + '\\"' * 3900,
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET ' + "/a HTTP/1.1 " * 600,
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /?' + "<a <b " * 1200 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /?' + "%27%20or%20" * 700 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET ' + "/.git" * 1500 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET ' + "/*" * 3800 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET ' + "/%25252e%25252e" * 500 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /?' + "$(((" * 1900 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /?' + "select;if(" * 750 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /?' + "union/*!(" * 800 + '" 200 5',
        '1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /' + ";" * 7900 + '" 200 5',
    ],
    ids=lambda line: line[:60],
)
def test_no_line_takes_long(line: str) -> None:
    """Processor time, best of three, against a bound that a backtracking pattern misses by far."""
    durations = []
    for _ in range(3):
        begin = time.process_time()
        analyse([parsed(line)])
        durations.append(time.process_time() - begin)
    assert min(durations) < 2


def test_a_naive_reference_time_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="aware datetime"):
        parse_line("x", now=datetime(2026, 1, 1), default_timezone=UTC)


def test_blank_lines_are_no_events() -> None:
    events = parse_lines(["", "\n", b"  \r\n", "x"], now=NOW, default_timezone=UTC)
    assert [event.message for event in events] == ["x"]
