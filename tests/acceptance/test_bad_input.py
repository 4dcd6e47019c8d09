"""Input that makes no sense, at every endpoint that takes any: an error that says so, nothing fails or is stored."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.answers import all_results, invalid_fields, problem
from tests.acceptance.site import Site

JSON = {"Content-Type": "application/json"}
MAX_BODY = 5 * 1024 * 1024

WRITES = [
    ("POST", "/api/auth/token"),
    ("POST", "/api/auth/refresh"),
    ("PATCH", "/api/security/findings/{finding}"),
    ("POST", "/api/security/scans"),
    ("POST", "/api/network/assets"),
    ("PUT", "/api/network/assets/{asset}"),
    ("PATCH", "/api/network/assets/{asset}"),
    ("POST", "/api/network/targets"),
    ("PATCH", "/api/network/targets/{target}"),
    ("POST", "/api/logs"),
    ("PATCH", "/api/notifications/{notification}"),
    ("POST", "/api/performance/cache/warm"),
    ("POST", "/api/performance/cache/invalidate"),
    ("POST", "/api/performance/background-job"),
]
LISTS = [
    "/api/security/findings", "/api/security/scans", "/api/network/assets", "/api/network/targets",
    "/api/notifications", "/api/performance/background-job",
]  # fmt: skip


@pytest.fixture
def admin(site: Site) -> Iterator[httpx.Client]:
    with site.client("admin") as client:
        yield client


@pytest.fixture(scope="module")
def rows(site: Site) -> Iterator[dict[str, Any]]:
    """One row of each kind."""
    title = f"bad input {uuid.uuid4().hex}"
    finding = site.add_finding("bad input")
    site.shell(
        "from django.contrib.auth import get_user_model as u; from securenet.notifications.models import Notification\n"
        f"Notification.objects.create(user=u().objects.get(username='admin'), title={title!r})\n"
        "from perf.caching import invalidate; invalidate(tags=['notifications'])"
    )
    with site.client("admin") as admin:
        (notification,) = [each["id"] for each in all_results(admin, "/api/notifications") if each["title"] == title]
        asset = admin.post("/api/network/assets", json={"address": "192.0.2.210"}).json()["id"]
        target = admin.post("/api/network/targets", json={"network": "192.0.2.211", "enabled": False}).json()["id"]
        yield {"finding": finding, "notification": notification, "asset": asset, "target": target}
        admin.delete(f"/api/network/assets/{asset}")
        admin.delete(f"/api/network/targets/{target}")


def everything(admin: httpx.Client) -> dict[str, Any]:
    """All rows of all lists, computed afresh."""
    fresh = {"test": uuid.uuid4().hex, "page_size": "500"}
    return {path: all_results(admin, path, **fresh) for path in LISTS}


@pytest.mark.parametrize(("method", "path"), WRITES, ids=lambda value: value)
class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"{", b"", b"null", b"[]", b'"text"', b"17", b"{}{}", b"\xff\xfe{\x00}\x00", b'{"a": NaN}', b'{"a": \x00}',
            b"[" * 100_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b'{"no_such_field": 1}',
            b'{"no_such_field": 1' + b"0" * 5000 + b"}", b'{"\\u0000": "\\ud800"}',
        ],
        ids=[
            "cut", "empty", "null", "list", "text", "number", "two", "UTF-16", "NaN", "NUL", "deep list", "deep object",
            "unknown field", "number of 5000 digits", "NUL and surrogate",
        ],
    )  # fmt: skip
    def test_that_make_no_sense_are_400(
        self, admin: httpx.Client, rows: dict[str, Any], method: str, path: str, body: bytes
    ) -> None:
        response = admin.request(method, path.format(**rows), content=body, headers=JSON)
        if not body and path.endswith("/warm"):
            assert response.status_code == 202  # to warm everything, nothing has to be said
            return
        if not body and path in ("/api/network/assets/{asset}", "/api/network/targets/{target}") and method == "PATCH":
            assert response.status_code == 200  # no change is a change that can be made
            return
        assert problem(response, 400)["detail"]

    def test_that_are_too_large_are_413(
        self, admin: httpx.Client, rows: dict[str, Any], method: str, path: str
    ) -> None:
        body = b'{"no_such_field": "' + b"x" * MAX_BODY + b'"}'
        response = admin.request(method, path.format(**rows), content=body, headers=JSON)
        assert str(MAX_BODY) in problem(response, 413)["detail"]

    def test_without_a_length_are_read_or_refused_but_not_ignored(
        self, admin: httpx.Client, rows: dict[str, Any], method: str, path: str
    ) -> None:
        """Transfer-Encoding: chunked (RFC 9112, 7.1). Whoever does not read it says so with 411."""
        parts = iter([b'{"no_such_', b'field": 1}'])
        response = admin.request(method, path.format(**rows), content=parts, headers=JSON)
        if response.status_code != 411:
            assert "no_such_field" in invalid_fields(response)

    def test_that_are_too_large_are_refused_also_without_a_length(
        self, admin: httpx.Client, rows: dict[str, Any], method: str, path: str
    ) -> None:
        def chunks() -> Iterator[bytes]:
            yield b'{"no_such_field": "'
            for _ in range(MAX_BODY // 65536 + 1):
                yield b"x" * 65536
            yield b'"}'

        response = admin.request(method, path.format(**rows), content=chunks(), headers=JSON)
        problem(response, 411 if response.status_code == 411 else 413)

    @pytest.mark.parametrize(
        "content_type", ["text/csv", "application/xml", "application/x-www-form-urlencoded", "garbage", "a/b/c; d=", ""]
    )
    def test_in_other_formats_are_415(
        self, admin: httpx.Client, rows: dict[str, Any], method: str, path: str, content_type: str
    ) -> None:
        response = admin.request(
            method, path.format(**rows), content=b"username=viewer", headers={"Content-Type": content_type}
        )
        problem(response, 415)


def test_nothing_of_all_that_was_stored(admin: httpx.Client, rows: dict[str, Any]) -> None:
    before = everything(admin)
    for method, path in WRITES:
        for body in (b"{", b'{"no_such_field": 1}', b"[" * 100_000, b'{"a": "' + b"x" * MAX_BODY + b'"}'):
            response = admin.request(method, path.format(**rows), content=body, headers=JSON)
            assert 400 <= response.status_code < 500, response.text
    assert everything(admin) == before


def test_change_with_one_wrong_field_changes_none(admin: httpx.Client, rows: dict[str, Any]) -> None:
    for path, good, wrong in (
        ("/api/network/assets/{asset}", {"name": "changed"}, {"kind": "toaster"}),
        ("/api/network/targets/{target}", {"enabled": True}, {"rate": -1}),
        ("/api/security/findings/{finding}", {"state": "resolved"}, {"triage_note": "\0"}),
        ("/api/notifications/{notification}", {"read": True}, {"title": "mine"}),
    ):
        before = everything(admin)
        assert invalid_fields(admin.patch(path.format(**rows), json={**good, **wrong})) == set(wrong)
        assert everything(admin) == before


@pytest.mark.parametrize("path", [*LISTS, "/api/logs"])
class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "cursor=%00", "cursor=garbage", "cursor=" + "A" * 3000, "cursor=cD0lMDA%3D", "cursor=cj0xJnA9eA%3D%3D",
            "cursor=bz05OTk5OTk5OTk5OTk5OTk5OTk5OTk%3D", "cursor=%ff%fe",
        ],
    )  # fmt: skip
    def test_cursor_that_nobody_was_given_is_no_failure(self, admin: httpx.Client, path: str, query: str) -> None:
        response = admin.get(f"{path}?{query}")
        assert response.status_code in (200, 400, 404), response.text
        if response.status_code >= 400:
            problem(response, response.status_code)

    @pytest.mark.parametrize(
        "query",
        [
            "page_size=-1", "page_size=0", "page_size=%00", "page_size=9e99", "page_size=" + "9" * 400, "=", "&&&", "%",
            "x=%ff", "x=%00", "a" * 4000,
        ],
    )  # fmt: skip
    def test_parameter_that_makes_no_sense_is_no_failure(self, admin: httpx.Client, path: str, query: str) -> None:
        response = admin.get(f"{path}?{query}")
        assert response.status_code == 200, response.text
        assert len(response.json()["results"]) <= 500

    def test_thousands_of_parameters_are_no_failure(self, admin: httpx.Client, path: str) -> None:
        response = admin.get(f"{path}?" + "&".join(f"p{n}={n}" for n in range(1001)))
        assert response.status_code in (200, 400, 414), response.text
        if response.status_code == 400:
            problem(response, 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api/network/assets/0", "/api/network/assets/-1", "/api/network/assets/1e3", "/api/network/assets/%00",
        "/api/network/assets/" + "9" * 100, "/api/security/findings/" + "9" * 19, "/api/security/scans/" + "9" * 5000,
        "/api/network/targets/%ff", "/api/../api/dashboard/x", "/api//dashboard", "/api/%2e%2e/admin", "/api/\u00e9",
    ],
    ids=lambda path: path[:40],
)  # fmt: skip
def test_path_that_leads_nowhere_is_404(admin: httpx.Client, path: str) -> None:
    problem(admin.get(path), 404)


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Request-ID", "Idempotency-Key", "If-None-Match", "Accept", "Cookie"]
)
@pytest.mark.parametrize("value", [b"\xff\xfe", b'"', b"\xe9" * 300, b"a=b; c", b", ,,", b"*" * 3000])
def test_header_that_makes_no_sense_is_no_failure(admin: httpx.Client, name: str, value: bytes) -> None:
    for path in ("/api/network/assets", "/api/dashboard"):
        response = admin.get(path, headers={name.encode(): value})
        assert response.status_code in (200, 304, 400, 401, 406), response.text
        if response.status_code >= 400:
            problem(response, response.status_code)


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /api/dashboard HTTP/9.9\r\n\r\n",
        b"GET /api/dashboard HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"POST /api/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\nConnection: close\r\n\r\n",
        b"POST /api/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ten\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["no HTTP", "HTTP/9.9", "foreign host", "negative length", "length in words", "endless header"],
)
def test_request_that_is_hardly_http_does_no_harm(site: Site, admin: httpx.Client, request_: bytes) -> None:
    address = urlsplit(site.url_a)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(request_)
            answer = connection.recv(64)
        except (ConnectionResetError, BrokenPipeError):
            pass  # hanging up is an answer as well
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert admin.get("/api/dashboard").status_code == 200
