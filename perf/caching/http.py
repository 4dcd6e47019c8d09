"""Entries as HTTP: responses, conditional requests, Cache-Control, Age and Cache-Status (RFC 9110, 9111, 9211)."""

from __future__ import annotations

import math
import re
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers

from perf.caching.entry import Entry
from perf.caching.lookup import CacheLookup
from perf.records import django_request, record_of

_GZIP_REFUSED = re.compile(r"(?:^|,)\s*gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")
_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;|,|$)")


def response_from(entry: Entry) -> HttpResponse:
    """A new response with the entry's status and headers; `dress` adds the body in the encoding of the client."""
    response = HttpResponse(status=entry.status)
    for name, value in entry.headers:
        response.headers[name] = value
    return response


def dress(
    response: HttpResponseBase, lookup: CacheLookup, entry: Entry, age: float, lifetime: float
) -> HttpResponseBase:
    """Give a cacheable response its body and validators, and answer a conditional request with 304.

    Args:
        response: as the view made it, or from `response_from`.
        age: seconds since the entry was stored.
        lifetime: seconds for which it is fresh.
    """
    terms = lookup.terms
    if terms is None:
        return response
    as_gzip = entry.is_gzip and _accepts_gzip(lookup.request)
    shared = terms.shared_by == "everyone"
    _set_etag(response, entry, as_gzip)
    if not (terms.honours_origin and response.has_header("Cache-Control")):
        response.headers["Cache-Control"] = f"{'public' if shared else 'private'}, max-age={math.floor(lifetime)}"
    response.headers["Age"] = str(int(age))
    varies = [*terms.vary_on_headers, *(() if shared else ("Authorization", "Cookie"))]
    if entry.is_gzip:
        varies.append("Accept-Encoding")
    if varies:
        patch_vary_headers(response, varies)
    conditional: HttpResponseBase | None = get_conditional_response(
        django_request(lookup.request),
        etag=response.headers["ETag"],
        response=response,  # type: ignore[arg-type]  # any response will do; it is handed back
    )
    if conditional is not None and conditional is not response:
        # Without it the client would take what it keeps for new, and keep it for the whole max-age once more.
        conditional.headers["Age"] = response.headers["Age"]
        return conditional  # 304 has no body, so none is unpacked
    _set_body(response, entry, as_gzip)
    return response


def _set_body(response: Any, entry: Entry, as_gzip: bool) -> None:
    """The entry's body, unless the view has just made the same one."""
    if as_gzip:
        response.content = entry.body
        response.headers["Content-Encoding"] = "gzip"
    elif not response.content:
        response.content = entry.plain_body()


def _set_etag(response: HttpResponseBase, entry: Entry, as_gzip: bool) -> None:
    own = response.get("ETag")
    if own is None:
        response.headers["ETag"] = entry.http_etag(as_gzip)
    elif as_gzip and not own.startswith("W/"):
        response.headers["ETag"] = f"W/{own}"  # the view means the bytes it made


def _accepts_gzip(request: Any) -> bool:
    accepted = django_request(request).META.get("HTTP_ACCEPT_ENCODING", "").lower()
    return _GZIP.search(accepted) is not None and _GZIP_REFUSED.search(accepted) is None


def set_cache_status(lookup: CacheLookup, *parameters: str, detail: str = "") -> None:
    """Note the parameters of Cache-Status; the middleware writes the header.

    Which key, and why: that tells of others' requests and of the inside, so only admins see it.
    """
    shown = [parameter for parameter in parameters if parameter]
    if lookup.caller.is_admin:
        if lookup.key:
            shown.append(f'key="{lookup.key.rpartition(":")[2]}"')
        if detail:
            shown.append(f'detail="{detail}"')
    record_of(lookup.request).cache_status = "; ".join(shown)
