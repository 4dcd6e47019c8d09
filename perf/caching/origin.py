"""What a view's own headers say of freshness, for policies that honour them (RFC 9111, sections 3, 4.2.1 and 5.2.2).

Numbers that cannot be read make a response stale, never an error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpResponseBase
from django.utils.http import parse_http_date_safe

# Whatever stands between them: a missing comma must not hide a ``private``.
_DIRECTIVE = re.compile(r'([\w!#$%&\'*+.^`|~-]+)(?:\s*=\s*("[^"]*"|[^\s,;]*))?')
_FORBID_STALE = {"must-revalidate", "proxy-revalidate", "s-maxage"}


@dataclass(frozen=True, slots=True)
class OriginFreshness:
    """``lifetime`` in seconds, None where the view says nothing; ``may_be_stale`` is False where it forbids that."""

    lifetime: float | None
    may_be_stale: bool


def directives(response: HttpResponseBase) -> dict[str, str]:
    """The directives of Cache-Control in lower case, with values; of a repeated one the first (RFC 9111, 4.2.1)."""
    found = _DIRECTIVE.findall(response.get("Cache-Control", ""))
    return {name.lower(): value.strip('"') for name, value in reversed(found)}


def origin_freshness(response: HttpResponseBase) -> OriginFreshness:
    """Read ``s-maxage``, ``max-age`` or ``Expires``, in this order, as a shared cache does."""
    given = directives(response)
    return OriginFreshness(_lifetime(response, given), may_be_stale=not _FORBID_STALE & given.keys())


def _lifetime(response: HttpResponseBase, given: Mapping[str, str]) -> float | None:
    if "no-cache" in given:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if name in given:
            return float(given[name]) if given[name].isascii() and given[name].isdigit() else 0.0
    if response.has_header("Expires"):
        expires = parse_http_date_safe(response["Expires"])
        sent = parse_http_date_safe(response.get("Date", ""))
        if expires is None:
            return 0.0
        return max(0.0, expires - (time.time() if sent is None else sent))
    return None
