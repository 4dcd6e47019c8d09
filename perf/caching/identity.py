"""Whose entry, and which: everything that makes one response differ from another becomes its key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, QueryDict
from django.utils.timezone import get_current_timezone
from django.utils.translation import get_language

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller
from perf.records import django_request

ABSENT = "\0"

# How much a client would like a media type; what it gets does not depend on it any more.
_QUALITY = re.compile(r"\s*;\s*q=[\d.]*\s*(?=;|$)", re.IGNORECASE)


def entry_key(
    request: Any,
    caller: Caller,
    *,
    shared_by: str,
    vary_on_headers: Iterable[str],
    ignore_params: Sequence[str],
) -> str:
    """The Redis key of the response to ``request``. HEAD shares it with GET."""
    plain = django_request(request)
    match = plain.resolver_match
    parts = [
        *((plain.scheme or "", plain.get_host()) if setting("VARY_ON_HOST") else ()),
        match.view_name if match else "",
        plain.path_info,
        media_type(request),
        str(getattr(request, "version", None) or ""),
        get_language() or "",
        str(get_current_timezone()),
        *identity_parts(caller, shared_by),
    ]
    parameters = kept_parameters(plain, ignore_params)
    parts += ("parameters", str(len(parameters)), _unencoded(plain))
    for name, value in parameters:
        parts += (name, value)
    parts.append("headers")
    for header in vary_on_headers:
        parts += (header, plain.headers.get(header, ABSENT))
    return keys.entry(parts)


def identity_parts(caller: Caller, shared_by: str) -> tuple[str, ...]:
    """The identity class: everyone, all that may do the same by roles, flags and grants, or the one user."""
    match shared_by:
        case "everyone":
            return ("everyone",)
        case "role":
            if caller.user_id is None:
                return ("anonymous",)
            return (
                "roles",
                "superuser" if caller.superuser else "",
                "staff" if caller.staff else "",
                caller.grants,
                str(len(caller.roles)),
                *sorted(caller.roles),
            )
        case _:
            return ("anonymous",) if caller.user_id is None else ("user", caller.user_id)


def media_type(request: Any) -> str:
    """The media type DRF has negotiated, with its parameters; for a plain Django view what the client accepts.

    Renderers obey parameters (``indent=4``), and a version can be one.
    """
    negotiated = getattr(request, "accepted_media_type", None)
    if negotiated is None:
        return django_request(request).headers.get("Accept", ABSENT)
    has_quality = ";" in negotiated and '"' not in negotiated
    return _QUALITY.sub("", negotiated) if has_quality else str(negotiated)


def kept_parameters(request: HttpRequest, ignore: Sequence[str]) -> list[tuple[str, str]]:
    """Query parameters without ignored ones, sorted by name; repeated ones stay in their order."""
    pairs = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True, errors="surrogateescape")
    return sorted((pair for pair in pairs if not _is_ignored(pair[0], ignore)), key=lambda pair: pair[0])


def hide_ignored_parameters(request: Any, ignore: Sequence[str]) -> None:
    """Take ignored parameters from what the view sees: they must not shape a response that others get.

    What is left stays as the client wrote it, since it may stand in links.
    """
    plain = django_request(request)
    if not ignore or not any(_is_ignored(name, ignore) for name in plain.GET):
        return
    pairs = plain.META.get("QUERY_STRING", "").split("&")
    query = "&".join(pair for pair in pairs if not _is_ignored(unquote_plus(pair.partition("=")[0]), ignore))
    plain.META["QUERY_STRING"] = query
    raw = query.encode("latin-1") if isinstance(plain, WSGIRequest) else query
    plain.GET = QueryDict(raw, encoding=plain.encoding)


def _unencoded(request: HttpRequest) -> str:
    """A query that is not percent-encoded as it should be: servers and views read it in different ways."""
    query = request.META.get("QUERY_STRING", "")
    return "" if query.isascii() else query


def _is_ignored(name: str, ignore: Sequence[str]) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in ignore)
