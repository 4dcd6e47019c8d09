"""Entries as HTTP: responses, conditional requests, Cache-Control, Age and Cache-Status (RFC 9110, 9111, 9211)."""

from __future__ import annotations

import math
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers

from perf.caching.entry import Entry
from perf.caching.lookup import CacheLookup
from perf.records import django_request, record_of


def response_from(entry: Entry) -> HttpResponse:
    """A new response with the entry's status, headers and body."""
    response = HttpResponse(entry.body, status=entry.status)
    for name, value in entry.headers:
        response.headers[name] = value
    return response


def dress(response: HttpResponseBase, lookup: CacheLookup, entry: Entry, age: float) -> HttpResponseBase:
    """Give a cacheable response its validators, and answer a conditional request with 304."""
    terms = lookup.terms
    if terms is None:
        return response
    shared = terms.shared_by == "everyone"
    response.headers.setdefault("ETag", entry.http_etag)
    response.headers["Cache-Control"] = f"{'public' if shared else 'private'}, max-age={math.floor(lookup.lifetime)}"
    response.headers["Age"] = str(int(age))
    if varies := [*terms.vary_on_headers, *(() if shared else ("Authorization", "Cookie"))]:
        patch_vary_headers(response, varies)
    conditional: HttpResponseBase | None = get_conditional_response(
        django_request(lookup.request),
        etag=response.headers["ETag"],
        response=response,  # type: ignore[arg-type]  # any response will do; it is handed back
    )
    return response if conditional is None else conditional


def set_cache_status(request: Any, *parameters: str) -> None:
    """Note the parameters of Cache-Status; the middleware writes the header."""
    record_of(request).cache_status = "; ".join(parameter for parameter in parameters if parameter)
