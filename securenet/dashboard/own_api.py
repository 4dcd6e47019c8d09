"""Asks the API on behalf of the person whose page is being made, inside this process.

Such a request takes the way of any client's: the same view with its permissions, serializers and cache entry, the same
limits, the same statistics. A page therefore shows what the API says, and nothing that the API would refuse.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

from django.core.handlers.wsgi import WSGIRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import resolve, reverse

from perf.middleware import PerformanceMiddleware
from perf.records import RequestRecord, record_of

# What belongs to the browser's own request: its credentials, its conditions, its body.
_BROWSER_S_OWN: Final = frozenset(
    {
        "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_ACCEPT_ENCODING", "HTTP_AUTHORIZATION", "HTTP_COOKIE",
        "HTTP_IDEMPOTENCY_KEY", "HTTP_RANGE", "HTTP_TRANSFER_ENCODING", "HTTP_X_CSRFTOKEN",
    }
)  # fmt: skip
_CONDITIONS: Final = "HTTP_IF_"
_HTMX: Final = "HTTP_HX_"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said.

    Attributes:
        status: HTTP status code.
        data: the body, read as JSON; None where there is none.
        headers: the response's headers.
        record: what limits and cache did about the request.
    """

    status: int
    data: Any
    headers: Mapping[str, str]
    record: RequestRecord = field(repr=False)

    @property
    def is_refusal(self) -> bool:
        """Whether ``data`` is a problem (RFC 9457)."""
        return self.status >= HTTPStatus.BAD_REQUEST

    def errors(self) -> dict[str, list[str]]:
        """What a problem says of single fields: ``{"targets.0": ["…"]}``."""
        found: dict[str, list[str]] = {}
        for error in self.data.get("errors", ()) if self.is_refusal else ():
            found.setdefault(error["field"], []).append(error["detail"])
        return found


class Refused(Exception):
    """The API refused what a page cannot do without."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.data.get('detail', '')}")
        self.answer = answer


def ask(
    page: HttpRequest,
    view_name: str,
    *args: Any,
    method: str = "GET",
    query: str = "",
    body: Any = None,
    idempotency_key: str = "",
) -> Answer:
    """Ask for one thing.

    Args:
        page: the request for the page; its user, address and request id are those of the question.
        view_name: of the API's view, such as ``security:finding``; ``args`` are its path's.
        method: HTTP method.
        query: query string, encoded.
        body: data that is sent as JSON; None: no body.
        idempotency_key: sent as Idempotency-Key; "": none.
    """
    request = _request(page, reverse(view_name, args=args), method, query, body)
    if idempotency_key:
        request.META["HTTP_IDEMPOTENCY_KEY"] = idempotency_key
    response = cast(HttpResponse, PerformanceMiddleware(_view)(request))
    data = json.loads(response.content) if response.content else None
    return Answer(response.status_code, data, response.headers, record_of(request))


def get(page: HttpRequest, view_name: str, *args: Any, query: str = "") -> Answer:
    """`ask` for what the page is about.

    Raises:
        Http404: there is no such thing.
        Refused: the API refuses for another reason than a field of the query.
    """
    answer = ask(page, view_name, *args, query=query)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise Http404(answer.data["detail"])
    if answer.is_refusal and not answer.errors():
        raise Refused(answer)
    return answer


def _view(request: HttpRequest) -> HttpResponse:
    match = resolve(request.path_info)
    request.resolver_match = match
    response = match.func(request, *match.args, **match.kwargs)
    return cast(HttpResponse, response if getattr(response, "is_rendered", True) else response.render())


def _request(page: HttpRequest, path: str, method: str, query: str, body: Any) -> WSGIRequest:
    content = b"" if body is None else json.dumps(body).encode()
    environ = {
        name: value
        for name, value in page.META.items()
        if name not in _BROWSER_S_OWN and not name.startswith((_CONDITIONS, _HTMX))
    }
    environ |= {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_ACCEPT": "application/json",
        "HTTP_X_REQUEST_ID": record_of(page).request_id,
        "wsgi.input": io.BytesIO(content),
    }
    if body is not None:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content))}
    request = WSGIRequest(environ)
    request.user = page.user
    # The form was checked where it arrived, by CsrfViewMiddleware.
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return request
