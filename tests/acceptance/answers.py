"""Reads answers of the API strictly: problem details, structured header fields, pages of lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import http_sf
import httpx

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "request_id"}
TIMINGS = ["gate", "app", "total"]


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem details of an error, after a look at their form (RFC 9457)."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.keys() >= PROBLEM_MEMBERS, body
    assert body["status"] == status
    assert body["request_id"] == response.headers.get("X-Request-ID", body["request_id"])
    for name in ("type", "title", "detail"):
        assert body[name] and isinstance(body[name], str), body
    return body


def invalid_fields(response: httpx.Response) -> set[str]:
    """The fields that a 400 names, each with words and a code."""
    errors = problem(response, 400)["errors"]
    for error in errors:
        assert error["detail"] and error["code"], error
    return {error["field"] for error in errors}


def server_timing(response: httpx.Response) -> dict[str, float]:
    """Milliseconds by name, in their order (W3C Server-Timing: a list of tokens with a parameter `dur`)."""
    return {str(name): float(parameters["dur"]) for name, parameters in members(response, "Server-Timing")}


def cache_status(response: httpx.Response) -> dict[str, Any]:
    """The parameters of this server's member of Cache-Status (RFC 9211)."""
    ((name, parameters),) = members(response, "Cache-Status")
    assert str(name) == "securenet"
    assert ("hit" in parameters) != ("fwd" in parameters)
    return {key: str(value) if isinstance(value, http_sf.Token) else value for key, value in parameters.items()}


def rate_limits(response: httpx.Response) -> dict[str, dict[str, int]]:
    """By policy: quota ``q`` and window ``w`` in seconds, remaining ``r`` and seconds ``t`` until some come back."""
    policies = dict(members(response, "RateLimit-Policy"))
    standing = dict(members(response, "RateLimit"))
    assert policies.keys() == standing.keys()
    return {str(name): {**policies[name], **standing[name]} for name in policies}


def members(response: httpx.Response, field: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The members of a structured field that is a list (RFC 9651), each with its parameters."""
    for item in http_sf.parse(response.headers[field].encode(), tltype="list"):
        value, parameters = item if isinstance(item, tuple) else (item, {})
        yield value, dict(parameters)


def max_age(response: httpx.Response) -> int:
    """Seconds of max-age in Cache-Control."""
    found = re.search(r"\bmax-age=(\d+)", response.headers["Cache-Control"])
    assert found, response.headers["Cache-Control"]
    return int(found[1])


def all_results(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    """The results of all pages, by following ``next``."""
    response = client.get(path, params=params)
    found: list[dict[str, Any]] = []
    for _ in range(200):
        assert response.status_code == 200, response.text
        page = response.json()
        assert page.keys() == {"results", "next"}
        found += page["results"]
        if page["next"] is None:
            return found
        assert page["next"].startswith("/api/"), page["next"]
        response = client.get(page["next"])
    raise AssertionError(f"{path} has no last page")
