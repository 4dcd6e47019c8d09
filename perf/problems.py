"""Errors as problem details (RFC 9457): what they are, and how they are written.

`Problem` is raised where more is to be said than DRF's exceptions say; `as_problem` translates those.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework.exceptions import (
    APIException,
    Throttled,
    ValidationError,
)
from rest_framework.utils.encoders import JSONEncoder

from perf.records import record_of

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
DATABASE_RETRY_SECONDS = 5


class Problem(APIException):
    """An error with everything a client needs.

    Args:
        status: HTTP status code.
        title: what kind of problem, the same at each occurrence.
        detail: what is wrong here, and what to do.
        type: a URI that names the kind of problem.
        headers: response headers.
        retry_after: seconds after which a retry makes sense.
        members: further members of the problem's JSON.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.title = title
        self.type = type
        self.headers = dict(headers or {})
        self.members = members
        self.wait: int | None = None  # where DRF's own exception handler looks for it, too
        if retry_after is not None:
            self.ask_to_wait(retry_after)

    def ask_to_wait(self, seconds: float) -> None:
        """Set Retry-After."""
        self.wait = math.ceil(seconds)
        self.headers["Retry-After"] = str(self.wait)

    def body(self) -> dict[str, Any]:
        """The problem as JSON data."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status_code,
            "detail": str(self.detail),
            **self.members,
        }


class DatabaseUnavailable(Problem):
    """The database cannot be reached, or takes no more; nothing was changed."""

    def __init__(self) -> None:
        detail = "The database is not available; nothing was changed. Try again in a few seconds."
        super().__init__(503, "Database unavailable", detail, retry_after=DATABASE_RETRY_SECONDS)


def as_problem(error: Exception) -> Problem | None:
    """Translate an exception; None where it is nothing a client should be told about."""
    match error:
        case Problem():
            return error
        case Http404():
            return Problem(404, "Not found", str(error) or "There is nothing here.")
        case PermissionDenied():
            return Problem(403, "Forbidden", str(error) or "You may not do this.")
        case ValidationError():
            return Problem(
                400,
                "Invalid input",
                "Some fields are not valid.",
                errors=_field_errors(error.get_full_details()),
            )
        case UnreadablePostError():
            return Problem(400, "Body incomplete", "The connection broke before the whole body had come.")
        case Throttled():
            wait = getattr(error, "wait", None)
            return Problem(429, "Too many requests", str(error.detail), retry_after=wait or None)
        case InterfaceError() | OperationalError() if _is_out_of_reach(error):
            log.error("The database could not be used.", exc_info=error)
            return DatabaseUnavailable()
        case APIException():
            return Problem(error.status_code, _title(error.status_code), str(error.detail))
        case _:
            return None


def _is_out_of_reach(error: Exception) -> bool:
    """False for faulty SQL, which SQLite reports as operational, too."""
    return getattr(error.__cause__, "sqlite_errorname", "") != "SQLITE_ERROR"


def problem_response(problem: Problem, request: Any) -> HttpResponse:
    """The problem as a plain Django response."""
    response = HttpResponse(
        json.dumps(_with_request_id(problem, request), cls=JSONEncoder),
        status=problem.status_code,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )
    if problem.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        # A refusal, not a failure: a line in the log for each would be a way to fill the disk.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``."""
    return problem_response(
        Problem(500, "Internal error", "Something failed here; the log has the details under the request's id."),
        request,
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler404``."""
    return problem_response(Problem(404, "Not found", f"There is nothing at {request.path}."), request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's ``handler400``."""
    return problem_response(Problem(400, "Bad request", "The request cannot be understood."), request)


def _with_request_id(problem: Problem, request: Any) -> dict[str, Any]:
    return {**problem.body(), "request_id": record_of(request).request_id}


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _field_errors(details: Any, path: str = "") -> list[dict[str, str]]:
    """Flatten DRF's nested error details to ``{"field": "targets.0", "detail": …, "code": …}``."""
    if isinstance(details, Mapping):
        if set(details) == {"message", "code"}:
            return [{"field": path, "detail": str(details["message"]), "code": str(details["code"])}]
        return [
            error
            for name, inner in details.items()
            for error in _field_errors(inner, path if name == "non_field_errors" else _joined(path, str(name)))
        ]
    errors: list[dict[str, str]] = []
    for index, inner in enumerate(details):
        is_leaf = isinstance(inner, Mapping) and set(inner) == {"message", "code"}
        errors.extend(_field_errors(inner, path if is_leaf else _joined(path, str(index))))
    return errors


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
