"""Requests through Django's WSGI handler, without a web server; and the payload that all views answer."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

PAYLOAD = {"results": [{"id": number, "name": f"asset {number}", "address": "192.0.2.1"} for number in range(20)]}


class UnexpectedStatus(AssertionError):
    """A request was answered with another status than the measurement is about."""


def handler_with(middleware: Sequence[str]) -> WSGIHandler:
    """A handler with these middleware classes."""
    with override_settings(MIDDLEWARE=list(middleware)):
        return WSGIHandler()


def status_of(handler: WSGIHandler, path: str, headers: dict[str, str]) -> int:
    """GET ``path`` with these headers, spelled as in WSGI's environ; returns the status, after reading the body."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "HTTP_ACCEPT": "application/json",
        "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http", **headers,
    }  # fmt: skip
    response = handler(environ, lambda status, headers: statuses.append(status))
    b"".join(response)
    response.close()
    return int(statuses[0][:3])


def asking(
    handler: WSGIHandler, paths: Iterable[str], headers: Iterable[dict[str, str]], expected: int
) -> Callable[[], None]:
    """A function that makes the next request, by the next of ``paths`` and of ``headers``.

    Raises:
        UnexpectedStatus: by that function, if the answer's status is not the expected one.
    """
    requests = zip(paths, headers, strict=False)

    def answer() -> None:
        path, fields = next(requests)
        status = status_of(handler, path, fields)
        if status != expected:
            raise UnexpectedStatus(f"GET {path} was answered with {status} instead of {expected}.")

    return answer
