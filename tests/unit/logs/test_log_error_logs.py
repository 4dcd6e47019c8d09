"""Error logs of Apache and nginx, alone and over syslog; clients that write log syntax into their requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_samples import NOW, parsed

from securenet.logs.parsers import Kind

APACHE = (
    "[Wed Oct 14 14:32:52.123456 2026] [core:error] [pid 35708:tid 4328] [client 72.15.99.187:1234] "
    "AH00128: File does not exist: /usr/local/apache2/htdocs/favicon.ico"
)
NGINX = (
    '2026/10/14 14:32:52 [error] 123#0: *5 open() "/usr/share/nginx/html/favicon.ico" failed (2: No such file or '
    'directory), client: 192.0.2.7, server: localhost, request: "GET /favicon.ico?v=2 HTTP/1.1", host: "localhost"'
)


def nginx(text: str) -> str:
    return f"2026/10/14 14:32:52 [error] 123#0: *5 {text}"


def test_apache_2_4_in_full() -> None:
    event = parsed(APACHE)
    assert event.time == datetime(2026, 10, 14, 14, 32, 52, 123456, tzinfo=UTC)
    assert (event.kind, event.program, event.source_ip, event.user) == (
        Kind.SERVICE_ERROR,
        "apache",
        "72.15.99.187",
        None,
    )
    assert event.fields == {"level": "error", "module": "core", "pid": "35708", "tid": "4328", "code": "AH00128"}
    assert event.message == APACHE


@pytest.mark.parametrize(
    ("line", "kind", "address", "fields"),
    [
        (
            "[Wed Oct 14 14:32:52 2026] [error] [client 192.0.2.7] client denied by server configuration: /srv/x",
            Kind.SERVICE_ERROR,
            "192.0.2.7",
            {"level": "error"},
        ),
        (
            "[Wed Oct  7 14:32:52 2026] [error] [client 2001:DB8::1] File does not exist: /srv/x",
            Kind.SERVICE_ERROR,
            "2001:db8::1",
            {},
        ),
        ("[Wed Oct 14 14:32:52 2026] [notice] caught SIGTERM, shutting down", Kind.OTHER, None, {"level": "notice"}),
        (
            "[Wed Oct 14 14:32:52.000001 2026] [mpm_prefork:notice] [pid 1] AH00163: Apache/2.4.58 configured",
            Kind.OTHER,
            None,
            {"code": "AH00163", "pid": "1"},
        ),
        (
            "[Wed Oct 14 14:32:52.01 2026] [a:error] [pid 1:tid 2] (13)Denied: [client 2001:db8::1:51] AH01630: x",
            Kind.SERVICE_ERROR,
            "2001:db8::1",
            {"code": "AH01630"},
        ),
        (
            "[Wed Oct 14 14:32:52.01 2026] [ssl:info] [pid 1:tid 2] ssl_io.c(12): [client 192.0.2.7:5] AH01964: x",
            Kind.OTHER,
            "192.0.2.7",
            {"level": "info", "module": "ssl"},
        ),
        (
            "[Wed Oct 14 14:32:52.000001 2026] [:error] [pid 9] [client 192.0.2.7:5] [client 192.0.2.7] ModSecurity: x",
            Kind.SERVICE_ERROR,
            "192.0.2.7",
            {"level": "error"},
        ),
        (
            "[Wed Oct 14 14:32:52.000001 2026] [core:crit] [pid 9] [client gateway.example:5] x",
            Kind.SERVICE_ERROR,
            None,
            {"level": "critical"},
        ),
    ],
)
def test_forms_of_apache(line: str, kind: Kind, address: str | None, fields: dict[str, str]) -> None:
    event = parsed(line)
    assert (event.kind, event.program, event.source_ip) == (kind, "apache", address)
    assert fields.items() <= event.fields.items()
    assert event.time.month == 10
    assert "time_source" not in event.fields


def test_nginx_in_full() -> None:
    event = parsed(NGINX)
    assert event.time == datetime(2026, 10, 14, 14, 32, 52, tzinfo=UTC)
    assert (event.kind, event.program, event.source_ip) == (Kind.SERVICE_ERROR, "nginx", "192.0.2.7")
    assert event.fields == {
        "level": "error",
        "pid": "123",
        "tid": "0",
        "connection": "5",
        "method": "GET",
        "path": "/favicon.ico",
        "query": "v=2",
    }


@pytest.mark.parametrize(
    ("line", "kind", "address"),
    [
        ('2026/10/14 14:32:52 [notice] 1#1: using the "epoll" event method', Kind.OTHER, None),
        ("2026/10/14 14:32:52 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address in use)", Kind.SERVICE_ERROR, None),
        (nginx('user "bob": password mismatch, client: 2001:db8::7, server: x'), Kind.SERVICE_ERROR, "2001:db8::7"),
        (nginx("access forbidden by rule, client: unix:, server: x"), Kind.SERVICE_ERROR, None),
        (nginx("SSL_do_handshake() failed, client: 192.0.2.7, server: 0.0.0.0:443"), Kind.SERVICE_ERROR, "192.0.2.7"),
        (
            "2026/10/14 14:32:52 [info] 1#1: *9 client closed connection, client: 192.0.2.7, server: 0.0.0.0:80",
            Kind.OTHER,
            "192.0.2.7",
        ),
    ],
)
def test_forms_of_nginx(line: str, kind: Kind, address: str | None) -> None:
    event = parsed(line)
    assert (event.kind, event.program, event.source_ip) == (kind, "nginx", address)


@pytest.mark.parametrize(
    ("frame", "entry", "program"),
    [
        ("Nov 20 08:00:01 edge nginx: {}", NGINX, "nginx"),
        ("<187>1 2026-11-20T08:00:01Z edge nginx - - - {}", NGINX, "nginx"),
        ("Nov 20 08:00:01 edge apache2[9]: {}", APACHE.partition("] ")[2], "apache2"),
        ("Nov 20 08:00:01 edge httpd[9]: {}", APACHE, "httpd"),
    ],
)
def test_an_entry_over_syslog_is_understood(frame: str, entry: str, program: str) -> None:
    event = parsed(frame.format(entry))
    assert (event.kind, event.host, event.program, event.fields["level"]) == (
        Kind.SERVICE_ERROR,
        "edge",
        program,
        "error",
    )
    assert event.source_ip in {"192.0.2.7", "72.15.99.187"}
    assert event.time == datetime(2026, 11, 20, 8, 0, 1, tzinfo=UTC)


FORGED = ", client: 198.51.100.66, server: x"


@pytest.mark.parametrize(
    "text",
    [
        f'open() "/srv/a{FORGED}" failed (2: No such file), client: 192.0.2.7, server: y, request: "GET /a HTTP/1.1"',
        f'open() "/srv/a" failed, client: 192.0.2.7, server: y, request: "GET /a{FORGED} HTTP/1.1"',
        f'open() "/srv/a" failed, client: 192.0.2.7, server: y, request: "GET /a HTTP/1.1", host: "z{FORGED}"',
    ],
    ids=["path", "request", "host"],
)
def test_a_client_cannot_pass_for_another_to_nginx(text: str) -> None:
    event = parsed(nginx(text))
    assert (event.kind, event.source_ip) == (Kind.SERVICE_ERROR, None)


@pytest.mark.parametrize("padding", [b"x", b"\x01", b"\xff", b"\xff\x01\x01", "\u202e".encode(), b"\x1b[m"])
def test_an_entry_that_nginx_may_have_cut_names_no_client(padding: bytes) -> None:
    start = nginx(f'open() "/srv/a{FORGED}, request: "GET / HTTP/1.1"').encode()
    cut = start + (padding * 2048)[: 2047 - len(start)]
    assert parsed(cut).source_ip is None
    assert parsed(b"Nov 20 08:00:01 edge nginx: " + cut).source_ip is None
    assert parsed(start).source_ip == "198.51.100.66"  # the same, short: only its length tells


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=300))
def test_whatever_a_client_sends_apache_names_the_client(text: str) -> None:
    event = parsed(f"[Wed Oct 14 14:32:52.123456 2026] [core:error] [pid 1:tid 2] [client 192.0.2.7:1] AH00128: {text}")
    assert (event.kind, event.source_ip) == (Kind.SERVICE_ERROR, "192.0.2.7")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=300))
def test_whatever_a_client_sends_nginx_names_the_client_or_nobody(text: str) -> None:
    event = parsed(nginx(f'open() "/srv/{text}" failed, client: 192.0.2.7, server: y, request: "GET /{text} HTTP/1.1"'))
    assert event.source_ip in {"192.0.2.7", None}


@pytest.mark.parametrize(
    "line",
    [
        "[Wed Oct 14 14:32:52 2099] [core:error] [pid 1] x",
        "[Wed Foo 14 14:32:52 2026] [core:error] [pid 1] x",
        "[Wed Oct 99 14:32:52 2026] [core:error] [pid 1] x",
        "2026/13/14 14:32:52 [error] 1#1: x",
        "2099/10/14 14:32:52 [error] 1#1: x",
    ],
)
def test_an_unbelievable_time_is_replaced_and_said_so(line: str) -> None:
    event = parsed(line)
    assert (event.kind, event.time, event.fields["time_source"]) == (Kind.SERVICE_ERROR, NOW, "received")


@pytest.mark.parametrize(
    "line", ["[Wed Oct 14 14:32:52 2026] no level", "[Wed Oct 14 14:32:52 2026] [loud] x", "2026/10/14 14:32:52 x"]
)
def test_lines_framed_otherwise_are_not_understood(line: str) -> None:
    event = parsed(line)
    assert (event.kind, event.program) == (Kind.OTHER, "")
