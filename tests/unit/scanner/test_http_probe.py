"""What the HTTP probe sends and reads, and what follows where answers are slow, cut off, or meant to mislead."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from securenet.security.scanner.banners import readable_lines
from securenet.security.scanner.checks import assess
from securenet.security.scanner.conversation import ProbeLimits
from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import HttpFile, HttpFiles, HttpResponse, Observation, TlsHandshake
from securenet.security.scanner.services.http import MAX_HEAD, MAX_PAGE, USER_AGENT
from securenet.security.scanner.services.ssh import MAX_PACKET, read_algorithms

from .certs import certificate, server_context
from .servers import Handler, serving
from .test_identify import BRISK, identity_at
from .test_scan import scan_one
from .test_ssh_algorithms import MODERN, kexinit

NOW = datetime.now(UTC)
HOME = "<!doctype html><title>Home</title><p>Hello."
ENV = "MAIL_FROM='Shop <shop@shop.example>'\nDB_PASSWORD = hunter2\nEMPTY=\nKEY='-----BEGIN\nQUJD\nQUJD==\nQUJDRA=\n'\n"


def answering_paths(bodies: dict[str, bytes], default: bytes, requests: list[bytes] | None = None) -> Handler:
    """A web server that sends these bytes, heads included, and hangs up."""

    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (chunk := connection.recv(4096)):
                return
            request += chunk
        if requests is not None:
            requests.append(request)
        connection.sendall(bodies.get(request.split(b" ")[1].decode(), default))

    return handle


def ok(body: str | bytes, *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /</title>
 </head>
 <body>
<h1>Index of /</h1>
  <table>
   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th></tr>
"""
IIS = """<html><head><title>www.example - /</title></head><body><H1>www.example - /</H1><hr>

<pre>  1/1/2024  1:00 PM         1024 <A HREF="/a.zip">a.zip</A><br></pre>"""
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def issues(handler: Handler, check_id: str) -> dict[str, Issue]:
    with serving(handler) as port:
        return {issue.component: issue for issue in scan_one(port).issues if issue.check_id == check_id}


def cookies(*values: str, over_tls: bool = False) -> dict[str, Issue]:
    response = HttpResponse(200, tuple(("set-cookie", value) for value in values), over_tls)
    seen = Observation(ip_address("192.0.2.1"), 80, NOW, service="http", details=(response,))
    return {issue.component: issue for issue in assess(seen).issues if issue.check_id == "http-cookie-flags"}


def files(*found: HttpFile, is_complete: bool = True) -> Observation:
    home = HttpResponse(200, (), page=HOME)
    details = (home, HttpFiles(found, is_complete))
    return Observation(ip_address("192.0.2.1"), 80, NOW, service="http", details=details)


class TestWhatIsSent:
    @pytest.mark.parametrize("over_tls", [False, True])
    def test_only_gets_of_three_paths_without_body_cookie_or_credentials(self, tmp_path: Path, over_tls: bool) -> None:
        requests: list[bytes] = []
        context = server_context(tmp_path, certificate(self_signed=False)) if over_tls else None
        handler = answering_paths({"/": ok(HOME, "Set-Cookie: sid=1")}, NOT_FOUND, requests)
        with serving(handler, tls=context) as port:
            identity = identity_at(port)
        assert {request.split(b" ")[1] for request in requests} == {b"/", b"/.git/HEAD", b"/.env"}
        for request in requests:
            head = request.split(b"\r\n")
            assert head[0].startswith(b"GET ")
            assert f"User-Agent: {USER_AGENT}".encode() in head
            assert not [line for line in head if line.lower().startswith((b"cookie:", b"authorization:"))]
            assert request.endswith(b"\r\n\r\n")
        (files,) = (detail for detail in identity.details if isinstance(detail, HttpFiles))
        assert [(file.path, file.status) for file in files.files] == [("/.git/HEAD", 404), ("/.env", 404)]

    def test_what_is_no_web_server_is_asked_for_no_files(self) -> None:
        requests: list[bytes] = []

        def handle(connection: socket.socket) -> None:
            while request := connection.recv(4096):
                requests.append(request)
                connection.sendall(b"-ERR unknown command\r\n")

        with serving(handle) as port:
            identity_at(port)
        assert requests
        assert not [request for request in requests if b"/.env" in request or b"/.git" in request]


class TestBounds:
    def test_a_server_that_stays_open_after_its_answer_is_not_waited_for(self) -> None:
        """With a length, the end of the chunks, or a status that has no body, all is known."""
        answers = [
            ok(HOME),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nTrailer: x\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_PAGE,
        ]
        patient = replace(BRISK, reply=60.0, guess=60.0, port=120.0)
        for answer in answers:
            released = threading.Event()

            def handle(connection: socket.socket, answer: bytes = answer, released: threading.Event = released) -> None:
                request = connection.recv(4096)
                if request.startswith(b"GET "):
                    connection.sendall(answer)
                released.wait(20)

            with serving(handle) as port:
                began = time.monotonic()
                identity = identity_at(port, limits=patient)
                took = time.monotonic() - began
                released.set()
            assert identity.service == "http"
            assert took < 20  # one that is waited for takes 60 s

    def test_one_byte_per_second_costs_bounded_time_and_settles_nothing(self) -> None:
        gate = threading.Event()
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

        def handle(connection: socket.socket) -> None:
            connection.recv(4096)
            for byte in slow:
                connection.sendall(bytes([byte]))
                if gate.wait(1.0):
                    return

        with serving(handle) as port:
            began = time.monotonic()
            result = scan_one(port)
            gate.set()
        assert time.monotonic() - began < 30
        assert not result.issues or {issue.check_id for issue in result.issues} == {"open-port"}
        assert not result.settles("http-exposed-files", port)
        assert not result.settles("http-cookie-flags", port)

    @pytest.mark.parametrize("unanswered", [b"GET /.git/HEAD ", b"GET /.env "])
    def test_a_file_that_is_not_answered_for_settles_nothing(self, unanswered: bytes) -> None:
        gate = threading.Event()

        def handle(connection: socket.socket) -> None:
            if connection.recv(4096).startswith(unanswered):
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nX-And-Then:")
                gate.wait(10)
            else:
                connection.sendall(ok(HOME))

        with serving(handle) as port:
            result = scan_one(port)
            gate.set()
        assert result.open_ports[0].service == "http"
        assert result.settles("http-directory-listing", port)
        assert not result.settles("http-exposed-files", port)

    def test_when_time_runs_out_over_the_files_what_the_probe_learnt_is_kept(self, tmp_path: Path) -> None:
        gate = threading.Event()

        def handle(connection: socket.socket) -> None:
            if connection.recv(4096).startswith(b"GET / "):
                connection.sendall(ok(HOME, "Server: nginx/1.24.0"))
            else:
                gate.wait(10)

        context = server_context(tmp_path, certificate())
        with serving(handle, tls=context) as port:
            identity = identity_at(port, limits=ProbeLimits(listen=0.2, reply=30, guess=30, port=4.0))
            gate.set()
        assert (identity.service, identity.product) == ("https", "nginx")
        assert [type(detail) for detail in identity.details] == [HttpResponse, TlsHandshake]

    def test_an_endless_file_is_read_only_so_far(self) -> None:
        def handle(connection: socket.socket) -> None:
            if connection.recv(4096).startswith(b"GET / "):
                connection.sendall(ok(HOME))
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"A_NAME=" + b"x" * 65529)

        with serving(handle) as port:
            identity = identity_at(port)
        (files,) = (detail for detail in identity.details if isinstance(detail, HttpFiles))
        assert len(files.files) == 2
        assert all(len(file.page) <= MAX_PAGE for file in files.files)

    @pytest.mark.parametrize(("size", "is_judged"), [(MAX_HEAD, True), (MAX_HEAD + 1, False)])
    def test_how_long_a_head_may_be_does_not_hang_on_how_it_arrives(self, size: int, is_judged: bool) -> None:
        start, end = b"HTTP/1.1 204 No Content\r\nX-Filler: ", b"\r\n\r\n"
        head = start + b"x" * (size - len(start) - len(end)) + end
        with serving(answering_paths({}, head)) as port:
            identity = identity_at(port)
        assert identity.service == "http"
        assert any(isinstance(detail, HttpResponse) for detail in identity.details) is is_judged


class TestExposedFiles:
    def test_names_are_evidence_and_neither_values_nor_the_ends_of_keys_are(self) -> None:
        found = issues(answering_paths({"/": ok(HOME), "/.env": ok(ENV)}, NOT_FOUND), "http-exposed-files")
        assert list(found) == ["/.env"]
        assert found["/.env"].evidence == {"path": "/.env", "variables": ["MAIL_FROM", "DB_PASSWORD", "KEY"]}
        assert "hunter2" not in repr(found)
        assert "QUJD" not in repr(found)

    def test_at_most_twenty_names_each_once(self) -> None:
        many = "".join(f"NAME_{number}=1\nNAME_{number}=2\n" for number in range(40))
        found = issues(answering_paths({"/": ok(HOME), "/.env": ok(many)}, NOT_FOUND), "http-exposed-files")
        assert found["/.env"].evidence["variables"] == [f"NAME_{number}" for number in range(20)]

    @pytest.mark.parametrize(
        "everywhere",
        [
            ok("#!/bin/sh\nVERSION=1.0\ncurl ...\n"),  # as sites do that are meant for `curl | sh`
            ok("VERSION=1.0\nBUILD=7\n"),
            ok("<html><script>\nCONFIG=1\n</script>"),
            ok("<!DOCTYPE html>\n<pre>\nHOME=/root\n</pre>"),
        ],
    )
    def test_a_site_that_says_the_same_to_every_question_is_clean(self, everywhere: bytes) -> None:
        with serving(answering_paths({}, everywhere)) as port:
            result = scan_one(port)
        assert not [issue for issue in result.issues if issue.check_id == "http-exposed-files"]
        assert result.settles("http-exposed-files", port)

    @pytest.mark.parametrize(
        "page", ["<html><pre>\nHOME=/root\n</pre>", "<!DOCTYPE html>\nA_B=1", "#!/bin/sh\nVERSION=1.0", "<body>\nA_B=1"]
    )
    def test_a_page_of_its_own_for_each_path_is_no_file_of_variables(self, page: str) -> None:
        handler = answering_paths({"/": ok(HOME), "/.env": ok(f"{page}\n/.env is not here")}, NOT_FOUND)
        assert not issues(handler, "http-exposed-files")

    def test_half_an_answer_settles_nothing_unless_something_was_found(self) -> None:
        nothing = HttpFile("/.git/HEAD", 404, "")
        secret = HttpFile("/.env", 200, "API_KEY=1")
        assert "http-exposed-files" not in assess(files(nothing, is_complete=False)).assessed
        assert "http-exposed-files" in assess(files(nothing)).assessed
        found = assess(files(secret, is_complete=False)).issues
        assert "http-exposed-files" in {issue.check_id for issue in found}

    def test_what_was_read_does_not_show_when_an_observation_is_logged(self) -> None:
        assert "hunter2" not in repr(files(HttpFile("/.env", 200, "PASSWORD=hunter2")))


class TestCookies:
    def test_attributes_are_seen_behind_a_value_of_any_length(self) -> None:
        token = "x" * 4000
        answer = ok(
            HOME,
            f"Set-Cookie: jwt={token}; Path=/; Secure; HttpOnly; SameSite=Lax",
            f"Set-Cookie: sid={token}; Path=/; Secure; SameSite=Lax",
        )
        found = issues(answering_paths({"/": answer}, NOT_FOUND), "http-cookie-flags")
        assert {name: issue.evidence["lacking"] for name, issue in found.items()} == {"sid": ["HttpOnly"]}

    def test_values_are_not_even_part_of_what_was_observed(self) -> None:
        answer = ok(HOME, "Set-Cookie: sid=hunter2; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "Set-Cookie: hunter2")
        with serving(answering_paths({"/": answer}, NOT_FOUND)) as port:
            identity = identity_at(port)
        (response,) = (detail for detail in identity.details if isinstance(detail, HttpResponse))
        assert response.values("set-cookie") == ("sid=; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "=")

    @pytest.mark.parametrize(
        "name",
        ["PHPSESSID", "JSESSIONID", "connect.sid", "ASP.NET_SessionId", "ASPSESSIONIDABCDEFGH", "laravel_session",
         "sid", "sessionid", "access_token", "jwt", ".ASPXAUTH", ".AspNetCore.Cookies", "session", "app-auth"],
    )  # fmt: skip
    def test_names_of_sessions(self, name: str) -> None:
        issue = cookies(f"{name}=; Secure; SameSite=Lax", over_tls=True)[name]
        assert (issue.severity, issue.evidence["lacking"]) == (Severity.MEDIUM, ["HttpOnly"])

    @pytest.mark.parametrize("name", ["csrftoken", "XSRF-TOKEN", "author", "side", "lang", "residence"])
    def test_names_of_other_things(self, name: str) -> None:
        assert not cookies(f"{name}=; Secure; SameSite=Lax", over_tls=True)

    def test_secure_is_not_asked_for_in_clear_unless_samesite_none_needs_it(self) -> None:
        assert not cookies("a=; SameSite=Lax")
        assert cookies("a=; SameSite=Lax", over_tls=True)["a"].severity is Severity.LOW
        issue = cookies("a=; SameSite=None")["a"]
        assert (issue.severity, issue.evidence["lacking"]) == (Severity.LOW, ["Secure"])
        assert "SameSite=None without Secure" in issue.description
        assert cookies("sid=; HttpOnly; SameSite=None", over_tls=True)["sid"].severity is Severity.MEDIUM
        assert not cookies("a=; SameSite=None; Secure", over_tls=True)

    @pytest.mark.parametrize(
        ("attributes", "is_judged"),
        [
            ("Max-Age=0", False),
            ("Max-Age=-1; Expires=Thu, 01 Jan 2099 00:00:00 GMT", False),
            ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
            ("Expires=Thu, 01-Jan-1970 00:00:00 GMT", False),
            ("Expires=Thu, 01 Jan 2099 00:00:00 GMT", True),
            ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
            ("Expires=never", True),
            ("Max-Age=soon", True),
            ("Expires=Thu, 99 Foo 99999 99:99:99 GMT", True),
        ],
    )
    def test_a_cookie_that_is_taken_away_is_none(self, attributes: str, is_judged: bool) -> None:
        assert bool(cookies(f"sid=; {attributes}")) is is_judged

    def test_one_name_set_twice_is_one_issue_with_the_faults_of_both(self) -> None:
        found = cookies("sid=; Path=/a; HttpOnly", "sid=; Path=/b; SameSite=Lax")
        assert list(found) == ["sid"]
        assert sorted(found["sid"].evidence["lacking"]) == ["HttpOnly", "SameSite"]  # type: ignore[call-overload]

    def test_a_thousand_cookies_are_not_a_thousand_findings(self) -> None:
        assert len(cookies(*(f"c{number}=" for number in range(1000)))) == 20


class TestListings:
    @pytest.mark.parametrize(
        "page",
        [
            APACHE,
            IIS,
            '<pre>\n<a href="a.zip">a.zip</a>\n</pre>\n',
            '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n<a href="x">x</a>\n</pre>\n',
            '<html><head><title>Directory Listing For [/]</title><body><h1>Directory Listing For [/]</h1><a href="/x">',
        ],
    )
    def test_pages_that_servers_make(self, page: str) -> None:
        found = issues(answering_paths({"/": ok(page)}, NOT_FOUND), "http-directory-listing")
        assert [issue.severity for issue in found.values()] == [Severity.LOW]

    @pytest.mark.parametrize(
        "page",
        [
            "<title>Index of / on all our pages</title><a href=/x>x</a>",
            "<title>News - /r/security</title><h1>News</h1><a href=/x>x</a>",
            "<title>Index of the book</title><a href=/x>x</a>",
            "<p>Write</p><pre>\n<a href=x>x</a></pre>",
        ],
    )
    def test_pages_that_people_make(self, page: str) -> None:
        assert not issues(answering_paths({"/": ok(page)}, NOT_FOUND), "http-directory-listing")

    def test_a_page_made_to_be_slow_to_read_is_not(self) -> None:
        titles, links = "<title>Index of /</title>" * 80, "<a " * 700
        lines = "<title>" + "a - /" * 39 + "</title>"
        began = time.monotonic()
        for page in (titles + links, links + titles, (lines * 20)[:MAX_PAGE], "<pre>" * 800):
            seen = Observation(
                ip_address("192.0.2.1"), 80, NOW, service="http", details=(HttpResponse(200, (), page=page),)
            )
            assess(seen)
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize(("status", "settles"), [(200, True), (403, True), (301, True), (503, False)])
    def test_a_server_that_is_out_of_order_settles_nothing(self, status: int, settles: bool) -> None:
        answer = b"HTTP/1.1 %d Such\r\nContent-Length: 0\r\n\r\n" % status
        with serving(answering_paths({}, answer)) as port:
            assert scan_one(port).settles("http-directory-listing", port) is settles


class TestSshOffers:
    def test_a_packet_may_be_as_long_as_the_protocol_allows_and_no_longer(self) -> None:
        packet = kexinit(**MODERN)
        longest = (MAX_PACKET - 4).to_bytes(4) + packet[4:] + b"\0" * (MAX_PACKET - len(packet))
        assert read_algorithms(longest) is not None
        assert read_algorithms((MAX_PACKET - 3).to_bytes(4) + longest[4:] + b"\0") is None

    def test_names_that_reach_into_the_padding_are_none(self) -> None:
        packet = kexinit(**MODERN)
        assert read_algorithms(packet) is not None
        assert read_algorithms(packet[:4] + b"\xff" + packet[5:]) is None

    def test_both_directions_count_and_names_are_safe(self) -> None:
        one_way = kexinit(**{**MODERN, "ciphers": "aes128-ctr", "macs": "one@\x1b[31mexample,other-name"})
        start = one_way.rindex(b"\x1b[31mexample,other-name")  # in the list from server to client
        offer = read_algorithms(one_way[:start] + b"\x1b[31mexample,hmac-md5//" + one_way[start + 23 :])
        assert offer is not None
        assert offer.ciphers == ("aes128-ctr",)
        assert offer.macs == ("one@example", "other-name", "hmac-md5//")


def test_lines_keep_their_breaks_and_nothing_else_that_is_not_text() -> None:
    assert readable_lines(b"one\r\n\x1b[31mtwo\x00\n\nthree", 100) == "one\ntwo\n\nthree"
    assert readable_lines(b"a\n" * 10_000, 50) == ("a\n" * 25)
