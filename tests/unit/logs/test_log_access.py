"""Access logs: both formats, IPv6, escapes, and clients that write log syntax into their requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import NOW, parsed, web_line

from securenet.logs.parsers import Kind, parse_line

COMBINED = (
    '192.0.2.7 - alice [20/Nov/2026:13:55:36 +0100] "GET /a/b?q=1&r=%20x HTTP/1.1" 200 2326 '
    '"https://example.org/start" "Mozilla/5.0 (X11; Linux x86_64)"'
)


def test_combined_format_in_full() -> None:
    event = parsed(COMBINED)
    assert (event.kind, event.source_ip, event.user) == (Kind.HTTP_REQUEST, "192.0.2.7", "alice")
    assert event.time == datetime(2026, 11, 20, 12, 55, 36, tzinfo=UTC)
    assert event.fields == {
        "method": "GET",
        "path": "/a/b",
        "query": "q=1&r=%20x",
        "protocol": "HTTP/1.1",
        "status": "200",
        "size": "2326",
        "referrer": "https://example.org/start",
        "agent": "Mozilla/5.0 (X11; Linux x86_64)",
    }
    assert event.message == COMBINED


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ('192.0.2.7 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.0" 404 -', "192.0.2.7"),
        ('2001:DB8:0:0::1 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/2.0" 404 0 "-" "-"', "2001:db8::1"),
        ('::ffff:192.0.2.7 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.1" 404 0 "-" "-"', "192.0.2.7"),
        ('192.0.2.7:51000 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.1" 404 0 "-" "-"', "192.0.2.7"),
        (
            '[2001:db8::1]:51000 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.1" 404 0 "-" "-"',
            "2001:db8::1",
        ),
        ('shop.example:443 192.0.2.7 - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.1" 404 5', "192.0.2.7"),
        ('192.0.2.7 - - [2026-11-20 13:55:36 +0000] "GET / HTTP/1.1" 404 - "-" "-"', "192.0.2.7"),
        ('client.example - - [20/Nov/2026:13:55:36 +0000] "GET / HTTP/1.1" 404 5', None),
    ],
)
def test_common_format_ipv6_ports_and_virtual_hosts(line: str, source: str | None) -> None:
    event = parsed(line)
    assert (event.kind, event.source_ip, event.fields["status"]) == (Kind.HTTP_REQUEST, source, "404")
    assert event.time == datetime(2026, 11, 20, 13, 55, 36, tzinfo=UTC)


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        (r"GET /a\x22b HTTP/1.1", {"path": '/a"b'}),
        (r"GET /a\"b\\c HTTP/1.1", {"path": '/a"b\\c'}),
        (r"GET /\xe4\xbd\xa0 HTTP/1.1", {"path": "/%e4%bd%a0"}),
        (r"GET /a\nb HTTP/1.1", {"path": "/a b"}),
        (r"\x16\x03\x01\x02", {"request": "%16%03%01%02"}),
        ("-", {"request": "-"}),
        ("", {"request": ""}),
        ("GET /old", {"path": "/old"}),
        ("GET /with space here HTTP/1.1", {"path": "/with space here"}),
        ("GET http://evil.example/x?y HTTP/1.1", {"path": "http://evil.example/x", "query": "y"}),
    ],
)
def test_escapes_and_broken_requests(request_text: str, expected: dict[str, str]) -> None:
    event = parsed(f'192.0.2.7 - - [20/Nov/2026:13:55:36 +0000] "{request_text}" 400 0 "-" "-"')
    assert (event.kind, event.source_ip, event.fields["status"]) == (Kind.HTTP_REQUEST, "192.0.2.7", "400")
    assert {name: event.fields.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "user",
    [
        "a b",
        "x [20/Nov/2026:13:55:36 +0000]",
        r"x [20/Nov/2026:13:55:36 +0000] \x22GET / HTTP/1.1\x22 200 5",
        "1.2.3.4 - -",
    ],
)
def test_a_user_name_cannot_forge_address_or_status(user: str) -> None:
    event = parsed(f'2001:db8::9 - {user} [20/Nov/2026:13:55:36 +0000] "GET /secret HTTP/1.1" 401 5 "-" "-"')
    assert (event.source_ip, event.fields["status"], event.fields["path"]) == (
        "2001:db8::9",
        "401",
        "/secret",
    )


@pytest.mark.parametrize(
    "agent",
    [
        r"\" 200 5 \"-\" \"x",
        'bare" 200 5 "-" "x',
        r"ends in backslash\\",
        "1.2.3.4 - - [20/Nov/2026:13:55:36 +0000]",
    ],
)
def test_a_user_agent_cannot_forge_address_or_status(agent: str) -> None:
    event = parsed(web_line(0, "192.0.2.7", "/x", 404, agent=agent))
    assert (event.source_ip, event.fields["status"], event.fields["path"]) == ("192.0.2.7", "404", "/x")


def test_a_request_longer_than_a_line_still_counts_for_its_client() -> None:
    event = parsed(web_line(0, "192.0.2.7", "/" + "a" * 10_000, 414))
    assert (event.kind, event.source_ip) == (Kind.HTTP_REQUEST, "192.0.2.7")
    assert event.fields["truncated"] == "true"
    assert "status" not in event.fields


def test_the_host_is_the_one_given_for_lines_that_name_none() -> None:
    assert parse_line(COMBINED, now=NOW, default_timezone=UTC, default_host="edge1").host == "edge1"


def as_nginx_escapes(text: str) -> str:
    return "".join(
        character
        if character.isascii() and character.isprintable() and character not in '"\\'
        else "".join(rf"\x{byte:02X}" for byte in character.encode())
        for character in text
    )


@given(st.text(max_size=80))
@settings(deadline=None)
def test_an_escaped_target_comes_back_as_it_was_and_forges_nothing(text: str) -> None:
    target = "/" + "".join(text.split())
    line = f'192.0.2.7 - - [20/Nov/2026:13:55:36 +0000] "GET {as_nginx_escapes(target)} HTTP/1.1" 404 5 "-" "-"'
    event = parsed(line)
    assert (event.source_ip, event.fields["status"]) == ("192.0.2.7", "404")
    if target.isascii() and target.isprintable() and "?" not in target:
        assert event.fields["path"] == target
