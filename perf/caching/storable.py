"""May a response be kept, and what of it? (RFC 9111, section 3, on the strict side.)"""

from __future__ import annotations

import re
from typing import Any

from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from rest_framework.renderers import BrowsableAPIRenderer

from perf.caching.entry import Entry, make_entry
from perf.caching.origin import directives
from perf.conf import setting
from perf.records import django_request

# Not found, gone: worth remembering for a short time.
NEGATIVE_STATUSES = frozenset({404, 410})

_SEPARATOR = re.compile(r"\s*,\s*")
# Part of the key as the negotiated media type, or applied outside the cache. Languages are negotiated outside, too: a
# view that says it varies by Accept-Language has read the header itself.
_COVERED = {"accept", "accept-encoding"}
# What one user's identity class covers; among several users a view that varies by them varies by more than the key.
_CREDENTIALS = {"authorization", "cookie"}
# These belong to one exchange, or are made anew for each.
_NOT_KEPT = {
    "age", "authentication-info", "cache-status", "connection", "content-length", "date", "keep-alive",
    "proxy-authenticate", "proxy-authentication-info", "proxy-connection", "ratelimit", "ratelimit-policy",
    "retry-after", "server-timing", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "x-request-id",
}  # fmt: skip
_NOT_KEPT_PREFIX = "x-ratelimit-"
# A response with one of these is an act towards one client, or a part of something.
_UNSTORABLE_HEADERS = ("Clear-Site-Data", "Content-Range")
_POLICIES_WITH_NONCES = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")
# The view's own word on freshness, kept only where the policy honours it.
_FRESHNESS = {"cache-control", "expires"}
_COMPRESSIBLE = re.compile(r"text/|application/(?:[\w.-]+\+)?(?:json|xml|javascript)|image/svg\+xml")


def unstorable_reason(
    request: Any,
    response: HttpResponseBase,
    *,
    vary_on_headers: tuple[str, ...],
    max_body_bytes: int,
    shared: bool,
    negative: bool,
    honours_origin: bool,
) -> str:
    """Why ``response`` must not be kept; empty where it may.

    ``shared`` says that other users would get it, ``negative`` that 404 and 410 may be kept, ``honours_origin`` that
    the view's own headers decide.
    """
    if response.streaming or response.get("Content-Type", "").lower().startswith("text/event-stream"):
        return "streaming"
    if response.status_code != 200 and not (negative and response.status_code in NEGATIVE_STATUSES):
        return f"status {response.status_code}"
    if response.cookies or response.has_header("Set-Cookie"):
        return "sets cookies"
    given = directives(response)
    if "no-store" in given or (shared and "private" in given) or ((shared or honours_origin) and "no-cache" in given):
        return "Cache-Control"
    varies = {name.lower() for name in _SEPARATOR.split(response.get("Vary", "").strip()) if name}
    covered = _COVERED | set(vary_on_headers) | (set() if shared else _CREDENTIALS)
    if "*" in varies or not varies <= covered:
        return "Vary"
    if response.has_header("Content-Encoding"):
        return "Content-Encoding"  # which encodings a client accepts is not part of the key
    if response.get("Access-Control-Allow-Origin", "*") != "*" and "origin" not in covered:
        return "Access-Control-Allow-Origin"
    if any("'nonce-" in response.get(name, "") for name in _POLICIES_WITH_NONCES):
        return "nonce"
    for name in _UNSTORABLE_HEADERS:
        if response.has_header(name):
            return name
    if len(response.content) > max_body_bytes:  # type: ignore[attr-defined]
        return "too large"
    return _personal_reason(django_request(request), response)


def _personal_reason(request: HttpRequest, response: HttpResponseBase) -> str:
    """What computing it did with the request that no header tells of, since it is sent above the cache."""
    session = getattr(request, "session", None)
    if session is not None and session.modified:
        return "session changed"
    if request.META.get("CSRF_COOKIE_NEEDS_UPDATE"):
        return "CSRF token"
    messages = getattr(request, "_messages", None)
    if messages is not None and (messages.used or messages.added_new) and len(messages):
        return "messages"
    if isinstance(getattr(response, "accepted_renderer", None), BrowsableAPIRenderer):
        return "browsable API"  # says who is signed in, and offers what that one may do
    if any(_has_uncommitted_changes(connection) for connection in connections.all(initialized_only=True)):
        return "open transaction"
    return ""


def _has_uncommitted_changes(connection: Any) -> bool:
    """In a transaction that announces something when it commits: what was read in it may never become true."""
    return bool(connection.in_atomic_block and connection.run_on_commit)


def entry_of(response: HttpResponseBase, honours_origin: bool = False) -> Entry:
    """The part of ``response`` that is the same for everybody who gets it from the cache."""
    left_out = _NOT_KEPT if honours_origin else _NOT_KEPT | _FRESHNESS
    hop_by_hop = {name.lower() for name in _SEPARATOR.split(response.get("Connection", "").strip()) if name}
    left_out = left_out | hop_by_hop  # RFC 9111, 3.1
    kept = [
        (name, value)
        for name, value in response.items()
        if name.lower() not in left_out and not name.lower().startswith(_NOT_KEPT_PREFIX)
    ]
    body: bytes = response.content  # type: ignore[attr-defined]
    return make_entry(response.status_code, kept, body, compress=_is_worth_compressing(response, len(body)))


def _is_worth_compressing(response: HttpResponseBase, size: int) -> bool:
    least = int(setting("COMPRESS_BYTES"))
    return 0 < least <= size and _COMPRESSIBLE.match(response.get("Content-Type", "").lower()) is not None
