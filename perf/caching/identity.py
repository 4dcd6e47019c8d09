"""Whose entry, and which: everything that makes one response differ from another becomes its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.http import HttpRequest, QueryDict
from django.utils.translation import get_language

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller
from perf.records import django_request

ABSENT = "\0"


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
        get_language() or "",
        *identity_parts(caller, shared_by),
        "parameters",
    ]
    for name, value in kept_parameters(plain, ignore_params):
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
    """The media type DRF has negotiated; for a plain Django view what the client accepts."""
    renderer = getattr(request, "accepted_renderer", None)
    if renderer is not None:
        return str(renderer.media_type)
    return django_request(request).headers.get("Accept", ABSENT)


def kept_parameters(request: HttpRequest, ignore: Sequence[str]) -> list[tuple[str, str]]:
    """Query parameters without ignored ones, sorted by name; repeated ones stay in their order."""
    pairs = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True, errors="surrogateescape")
    return sorted((pair for pair in pairs if not _is_ignored(pair[0], ignore)), key=lambda pair: pair[0])


def hide_ignored_parameters(request: Any, ignore: Sequence[str]) -> None:
    """Take ignored parameters from what the view sees: they must not shape a response that others get."""
    plain = django_request(request)
    if not ignore or not any(_is_ignored(name, ignore) for name in plain.GET):
        return
    pairs = parse_qsl(plain.META.get("QUERY_STRING", ""), keep_blank_values=True)
    query = urlencode([pair for pair in pairs if not _is_ignored(pair[0], ignore)])
    plain.META["QUERY_STRING"] = query
    plain.GET = QueryDict(query, encoding=plain.encoding)


def _is_ignored(name: str, ignore: Sequence[str]) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in ignore)
