"""May a response be kept, and what of it? (RFC 9111, section 3, on the strict side.)"""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponseBase

from perf.caching.entry import Entry, make_entry
from perf.records import django_request

_SEPARATOR = re.compile(r"\s*,\s*")
# Covered by the identity class or the negotiated media type, or applied outside the cache.
_COVERED = {"accept", "accept-encoding", "accept-language", "authorization", "cookie"}
# These belong to one exchange, or are made anew for each.
_NOT_KEPT = {
    "age", "cache-control", "cache-status", "connection", "content-length", "date", "etag", "expires", "keep-alive",
    "proxy-authenticate", "ratelimit", "ratelimit-policy", "retry-after", "server-timing", "set-cookie", "te",
    "trailer", "transfer-encoding", "upgrade", "x-request-id",
}  # fmt: skip


def unstorable_reason(
    request: Any,
    response: HttpResponseBase,
    *,
    vary_on_headers: tuple[str, ...],
    max_body_bytes: int,
    shared: bool,
) -> str:
    """Why ``response`` must not be kept; empty where it may. ``shared`` says that other users would get it."""
    if response.streaming:
        return "streaming"
    if response.status_code != 200:
        return f"status {response.status_code}"
    if response.cookies or response.has_header("Set-Cookie"):
        return "sets cookies"
    directives = _directives(response.get("Cache-Control", ""))
    if "no-store" in directives or (shared and directives & {"private", "no-cache"}):
        return "Cache-Control"
    varies = {name.lower() for name in _SEPARATOR.split(response.get("Vary", "").strip()) if name}
    if "*" in varies or not varies <= _COVERED | set(vary_on_headers):
        return "Vary"
    if len(response.content) > max_body_bytes:  # type: ignore[attr-defined]
        return "too large"
    session = getattr(django_request(request), "session", None)
    if session is not None and session.modified:
        return "session changed"
    return ""


def entry_of(response: HttpResponseBase) -> Entry:
    """The part of ``response`` that is the same for everybody who gets it from the cache."""
    kept = [(name, value) for name, value in response.items() if name.lower() not in _NOT_KEPT]
    return make_entry(response.status_code, kept, response.content)  # type: ignore[attr-defined]


def _directives(value: str) -> set[str]:
    return {part.partition("=")[0].strip().lower() for part in value.split(",")}
