"""The paths of the server's views as patterns, for proofs: which views a route may match, and which paths a view has.

A pattern matches at least the paths of its view (``*`` stands for whatever an argument or a regular expression does),
so what no pattern matches, no request for the view does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import RegexPattern, RoutePattern

from perf.policies.routes import SCOPE_ROUTE, RouteKind, parse_route
from perf.policies.shadows import Views

_ARGUMENT = re.compile(r"<[^>]+>")
_NO_PATH = "\0no-such-path"


@dataclass(frozen=True, slots=True)
class ViewPattern:
    """``pattern`` of one entry of the URLconf; ``view_name`` and ``throttle_scope`` are "" where it has none."""

    view_name: str
    pattern: str
    throttle_scope: str
    is_catch_all: bool


def known_views() -> Views:
    """What the URLconf tells of names and paths."""
    return Views(_patterns_by_name(settings.ROOT_URLCONF), _name_at)


@lru_cache(maxsize=4096)
def _is_on_any_view(text: str, urlconf: str) -> bool:
    route = parse_route(text)
    views = [view for view in _view_patterns(urlconf) if not view.is_catch_all]
    match route.kind:
        case RouteKind.ANY:
            return True
        case RouteKind.VIEW:
            # A name with a dot may be that of a function without a name in the URLconf.
            return "." in text or any(text in (view.view_name, SCOPE_ROUTE + view.throttle_scope) for view in views)
        case RouteKind.EXACT:
            try:
                match = resolve(route.key, urlconf)
            except Resolver404:
                return False
            return bool(match.url_name) or any(_overlap(view.pattern, route.key) for view in views)
        case RouteKind.PREFIX:
            return any(_overlap(view.pattern, f"{route.key}*") for view in views)
        case RouteKind.GLOB:
            return any(_overlap(view.pattern, route.key) for view in views)


def is_on_any_view(text: str) -> bool:
    """Say whether the route ``text`` may match a request for a view; a catch-all does not count."""
    return _is_on_any_view(text, settings.ROOT_URLCONF)


def is_view_name(text: str) -> bool:
    """Say whether a view has this name."""
    return any(view.view_name == text for view in _view_patterns(settings.ROOT_URLCONF))


@lru_cache(maxsize=4)
def _view_patterns(urlconf: str) -> tuple[ViewPattern, ...]:
    return tuple(_walk(get_resolver(urlconf), "/", ""))


@lru_cache(maxsize=4)
def _patterns_by_name(urlconf: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for view in _view_patterns(urlconf):
        # An entry without a name goes by its function's, which has a dot.
        if view.view_name and "." not in view.view_name:
            found.setdefault(view.view_name, []).append(view.pattern)
    return found


def _walk(resolver: URLResolver, prefix: str, namespace: str) -> Iterator[ViewPattern]:
    for entry in resolver.url_patterns:
        pattern = prefix + _as_pattern(entry)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry, pattern, inner)
        elif isinstance(entry, URLPattern):
            scope = getattr(getattr(entry.callback, "cls", None), "throttle_scope", None) or ""
            name = f"{namespace}{entry.name}" if entry.name else ""
            yield ViewPattern(name, pattern, scope, not entry.name and _matches_all(entry))


def _as_pattern(entry: URLPattern | URLResolver) -> str:
    return _ARGUMENT.sub("*", str(entry.pattern)) if isinstance(entry.pattern, RoutePattern) else "*"


def _matches_all(entry: URLPattern) -> bool:
    if isinstance(entry.pattern, RegexPattern) and not str(entry.pattern).endswith(("$", r"\Z")):
        return True  # everything below a path
    return entry.pattern.match(_NO_PATH) is not None


def _name_at(path: str) -> str:
    try:
        return resolve(path).view_name
    except Resolver404:
        return ""


def _overlap(one: str, other: str) -> bool:
    """Say whether some text matches both patterns."""
    fixed = min(len(one.partition("*")[0]), len(other.partition("*")[0]))
    if one[:fixed] != other[:fixed]:
        return False
    # below[j]: whether the rest of `one` after the current character and other[j:] have a text in common.
    below = [not other[j:].strip("*") for j in range(len(other) + 1)]
    for character in reversed(one):
        row = [False] * (len(other) + 1)
        for j in range(len(other), -1, -1):
            is_end = j == len(other)
            if character == "*":
                row[j] = below[j] or (not is_end and row[j + 1])
            if not is_end and other[j] == "*":
                row[j] = row[j] or row[j + 1] or below[j]
            elif not is_end and other[j] == character:
                row[j] = row[j] or below[j + 1]
        below = row
    return below[0]
