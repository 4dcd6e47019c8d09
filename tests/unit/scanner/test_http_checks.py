"""Cookies, directory listings and exposed files: real servers that have the fault, and twins that have not."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from securenet.security.scanner.checks import assess
from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import HttpFiles, HttpResponse, Observation
from securenet.security.scanner.services.http import MAX_PAGE, page_of

from .certs import certificate, server_context
from .servers import LOOPBACK, Handler, serving
from .test_identify import identity_at
from .test_scan import scan_one

GIT_HEAD = "ref: refs/heads/main\n"
ENV = "# settings\nDEBUG=0\nDATABASE_URL=postgres://app:hunter2@db/app\nexport SECRET_KEY='swordfish'\n"
PAGE = "<!doctype html><title>Hello</title><a href=/x>x</a>"


def site(
    files: dict[str, str | tuple[int, str]],
    *,
    otherwise: tuple[int, str] = (404, "<p>no such page</p>"),
    headers: tuple[str, ...] = (),
    framing: str = "length",
    asked: list[str] | None = None,
) -> Handler:
    """A web server with these files. ``framing`` of its bodies: length, chunked, or close."""

    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (chunk := connection.recv(4096)):
                return
            request += chunk
        method, path, *_ = request.decode("latin-1").split(" ")
        if asked is not None:
            asked.append(f"{method} {path}")
        found = files.get(path, otherwise)
        status, text = found if isinstance(found, tuple) else (200, found)
        body = text.encode()
        lines = [f"HTTP/1.1 {status} Fine", *headers, "Content-Type: text/html"]
        match framing:
            case "length":
                lines.append(f"Content-Length: {len(body)}")
            case "chunked":
                lines.append("Transfer-Encoding: chunked")
                half = len(body) // 2
                body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
                body += b"0\r\n\r\n"
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        if framing == "length":
            connection.recv(1)  # stays open, as keep-alive does

    return handle


def issues(handler: Handler, check_id: str) -> list[Issue]:
    with serving(handler) as port:
        return [issue for issue in scan_one(port).issues if issue.check_id == check_id]


@contextmanager
def files_served_from(folder: Path) -> Iterator[int]:
    """Python's own web server."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.keywords["directory"] = str(folder)
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestExposedFiles:
    @pytest.mark.parametrize("framing", ["length", "chunked", "close"])
    def test_a_repository_and_variables_are_found_and_secrets_stay_where_they_are(self, framing: str) -> None:
        found = issues(site({"/": PAGE, "/.git/HEAD": GIT_HEAD, "/.env": ENV}, framing=framing), "http-exposed-files")
        assert {issue.component for issue in found} == {"/.git/HEAD", "/.env"}
        assert {issue.severity for issue in found} == {Severity.HIGH}
        assert {issue.base_score for issue in found} == {7.5}
        (variables,) = (issue for issue in found if issue.component == "/.env")
        assert variables.evidence["variables"] == ["DEBUG", "DATABASE_URL", "SECRET_KEY"]
        assert "hunter2" not in repr(found)
        assert "swordfish" not in repr(found)

    def test_a_detached_head_is_one_too(self) -> None:
        assert issues(site({"/.git/HEAD": "a" * 40 + "\n"}), "http-exposed-files")

    @pytest.mark.parametrize(
        "files",
        [
            {"/": PAGE},
            {"/": PAGE, "/.git/HEAD": (403, GIT_HEAD), "/.env": (404, ENV)},
            {"/": PAGE, "/.git/HEAD": (302, GIT_HEAD), "/.env": (302, ENV)},
            {"/": PAGE, "/.git/HEAD": "welcome to ref: refs/heads/main", "/.env": "nothing=here\nlower=case"},
            {"/": PAGE, "/.git/HEAD": "", "/.env": ""},
        ],
    )
    def test_a_site_without_them_is_clean(self, files: dict[str, str | tuple[int, str]]) -> None:
        assert not issues(site(files), "http-exposed-files")

    @pytest.mark.parametrize("page", [PAGE, "<html>API_KEY=1</html>", "<br>\nAPI_KEY=1", "OK", "a" * 41])
    def test_a_site_that_answers_every_path_with_some_page_is_clean(self, page: str) -> None:
        assert not issues(site({}, otherwise=(200, page)), "http-exposed-files")

    def test_nothing_but_three_gets_is_ever_sent(self) -> None:
        asked: list[str] = []
        issues(site({"/": PAGE}, asked=asked), "http-exposed-files")
        assert {*asked} <= {"GET /", "GET /.git/HEAD", "GET /.env"}
        assert asked.count("GET /.env") == 1

    def test_a_redirect_to_another_host_is_not_followed(self) -> None:
        asked: list[str] = []
        with serving(site({"/": ENV, "/.env": ENV}, asked=asked)) as elsewhere:
            there = (f"Location: http://127.0.0.1:{elsewhere}/.env",)
            assert not issues(site({}, otherwise=(302, ""), headers=there), "http-exposed-files")
        assert not asked

    def test_inside_tls_as_well(self, tmp_path: Path) -> None:
        context = server_context(tmp_path, certificate(self_signed=False))
        with serving(site({"/": PAGE, "/.git/HEAD": GIT_HEAD}), tls=context) as port:
            found = [issue for issue in scan_one(port).issues if issue.check_id == "http-exposed-files"]
        assert [issue.component for issue in found] == ["/.git/HEAD"]

    def test_a_server_that_gives_no_second_answer_is_not_judged(self) -> None:
        answered: list[int] = []

        def once(connection: socket.socket) -> None:
            if len(answered) < 2:  # the greeting nobody gave, and GET /
                answered.append(1)
                site({"/": PAGE})(connection)

        with serving(once) as port:
            result = scan_one(port)
        assert result.open_ports[0].service == "http"
        assert not result.settles("http-exposed-files", port)


class TestDirectoryListings:
    @pytest.mark.parametrize(
        "page",
        [
            "<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre><a href='../'>../</a>",
            "<title>Index of /backup</title><table><tr><td><a href='a.zip'>a.zip</a>",
            "<title>Directory listing for /</title><ul><li><a href='x'>x</a>",
            "<title>Directory Listing For [/]</title><a href='/x'>x</a>",
            "<TITLE>10.0.0.1 - /</TITLE><A HREF='/'>[To Parent Directory]</A>",
        ],
    )
    def test_those_that_servers_make_are_found(self, page: str) -> None:
        (issue,) = issues(site({"/": page}), "http-directory-listing")
        assert issue.severity is Severity.LOW

    @pytest.mark.parametrize(
        "page",
        [
            PAGE,
            "<title>Index of /</title><p>A page about directory listings.</p>",
            "<h1>Index of /</h1><a href='/x'>x</a>",
            "<title>Example - / and more</title><a href='/x'>x</a>",
            "",
        ],
    )
    def test_other_pages_are_not(self, page: str) -> None:
        assert not issues(site({"/": page}), "http-directory-listing")

    def test_only_where_the_page_was_delivered(self) -> None:
        page = "<title>Index of /</title><a href='x'>x</a>"
        assert not issues(site({"/": (403, page)}), "http-directory-listing")

    def test_pythons_own_server_lists_files_and_with_an_index_page_it_does_not(self, tmp_path: Path) -> None:
        (tmp_path / "backup.sql").write_text("x")
        with files_served_from(tmp_path) as port:
            assert "http-directory-listing" in {issue.check_id for issue in scan_one(port).issues}
            (tmp_path / "index.html").write_text(PAGE)
            assert "http-directory-listing" not in {issue.check_id for issue in scan_one(port).issues}


class TestCookies:
    def cookies(self, *cookies: str, status: int = 200) -> list[Issue]:
        headers = tuple(f"Set-Cookie: {cookie}" for cookie in cookies)
        return issues(site({"/": (status, PAGE)}, headers=headers), "http-cookie-flags")

    def test_a_session_without_protection_is_graver_than_a_preference(self) -> None:
        found = self.cookies("PHPSESSID=1; path=/", "theme=dark; SameSite=None", "lang=en")
        told = {issue.component: (issue.severity, issue.evidence["lacking"]) for issue in found}
        assert told == {
            "PHPSESSID": (Severity.MEDIUM, ["HttpOnly", "SameSite"]),
            "theme": (Severity.LOW, ["Secure"]),
            "lang": (Severity.INFO, ["SameSite"]),
        }

    def test_one_with_all_its_attributes_is_clean(self) -> None:
        assert not self.cookies("sid=1; Secure; HttpOnly; SameSite=Lax", "a=b,c; SAMESITE=strict; secure")

    def test_secure_is_asked_for_inside_tls(self, tmp_path: Path) -> None:
        context = server_context(tmp_path, certificate(self_signed=False))
        with serving(site({"/": PAGE}, headers=("Set-Cookie: a=1; SameSite=Lax",)), tls=context) as port:
            found = [issue for issue in scan_one(port).issues if issue.check_id == "http-cookie-flags"]
        assert [issue.evidence["lacking"] for issue in found] == [["Secure"]]

    def test_a_redirect_sets_cookies_too_but_an_error_page_is_not_judged(self) -> None:
        assert self.cookies("sid=1", status=302)
        assert not self.cookies("sid=1", status=500)

    def test_values_are_nobodys_business(self) -> None:
        assert "hunter2" not in repr(self.cookies("sid=hunter2"))


ELASTICSEARCH = '{\n  "name" : "n1",\n  "cluster_name" : "docs",\n  "tagline" : "You Know, for Search"\n}'
OPENSEARCH = '{"name": "n1", "tagline": "The OpenSearch Project: https://opensearch.org/"}'
DOCKER = ("Server: Docker/27.3.1 (linux)", "Api-Version: 1.47")


class TestOpenServices:
    @pytest.mark.parametrize(
        ("page", "headers", "name"),
        [
            (ELASTICSEARCH, (), "Elasticsearch"),
            (OPENSEARCH, (), "OpenSearch"),
            ((404, '{"message":"page not found"}'), DOCKER, "Docker Engine API"),
        ],
    )
    def test_those_that_serve_anybody_are_found(
        self, page: str | tuple[int, str], headers: tuple[str, ...], name: str
    ) -> None:
        (issue,) = issues(site({"/": page}, headers=headers), "http-open-service")
        assert issue.title == f"{name} answers without authentication"
        assert issue.severity is Severity.MEDIUM, "on loopback; elsewhere it is critical"

    @pytest.mark.parametrize(
        ("page", "headers"),
        [
            ((401, ELASTICSEARCH), ()),
            ((403, '{"message":"client certificate required"}'), DOCKER),
            ("<p>A page about You Know, for Search</p>", ()),
            ('{"tagline": "something else"}', ()),
            (PAGE, ("Server: Docker/27.3.1",)),
            (PAGE, ("Server: nginx", "Api-Version: 3")),
        ],
    )
    def test_those_that_ask_who_one_is_and_others_are_not(
        self, page: str | tuple[int, str], headers: tuple[str, ...]
    ) -> None:
        assert not issues(site({"/": page}, headers=headers), "http-open-service")

    def test_elsewhere_than_on_loopback_it_is_critical(self) -> None:
        response = HttpResponse(200, (), page=ELASTICSEARCH)
        observation = Observation(ip_address("192.0.2.1"), 9200, datetime.now(UTC), service="http", details=(response,))
        (issue,) = (issue for issue in assess(observation).issues if issue.check_id == "http-open-service")
        assert (issue.severity, issue.base_score) == (Severity.CRITICAL, 9.8)


class TestBounds:
    def test_a_body_without_end_is_read_only_so_far(self) -> None:
        sent: list[int] = []

        def endless(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>x</title>")
            while True:
                sent.append(connection.send(b"A" * 65536))

        with serving(endless) as port:
            identity = identity_at(port)
        (response,) = (detail for detail in identity.details if isinstance(detail, HttpResponse))
        assert len(response.page) <= MAX_PAGE
        assert identity.service == "http"

    def test_a_body_that_drips_costs_bounded_time_and_the_head_still_counts(self) -> None:
        gate = threading.Event()

        def dripping(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nServer: drip/1.0\r\nContent-Length: 4000\r\n\r\n")
            while not gate.wait(0.05):
                connection.sendall(b"x")

        with serving(dripping) as port:
            identity = identity_at(port)
            gate.set()
        assert (identity.service, identity.product) == ("http", "drip")

    @pytest.mark.parametrize(
        ("answer", "page"),
        [
            (b"HTTP/1.1 200 OK\r\n\r\none\r\ntwo", "one\ntwo"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2;x=y\r\ntw\r\n0\r\n\r\n", "onetw"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nonly this", "only this"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size", ""),
            (b"HTTP/1.1 200 OK\r\nX: y", ""),
            (b"", ""),
            (b"HTTP/1.1 200 OK\r\n\r\n\x1b[31mred\x1b[0m\x00\xe2\x80\xae!", "red!"),
        ],
    )
    def test_what_counts_as_page(self, answer: bytes, page: str) -> None:
        assert page_of(answer) == page


def test_what_was_not_asked_settles_nothing() -> None:
    observation = Observation(ip_address("192.0.2.1"), 80, datetime.now(UTC), service="http", details=(HttpFiles(()),))
    assert "http-exposed-files" not in assess(observation).assessed
