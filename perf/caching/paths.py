"""Which views of the project are cached, and where they live: for warming, invalidation by path, and admin warnings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

from perf.caching.decorator import SETTINGS_ATTRIBUTE
from perf.policies.routes import SCOPE_ROUTE, Route, parse_route


@dataclass(frozen=True, slots=True)
class ViewPath:
    """A view: its name, its path with ``{name}`` for arguments, whether GET is cached, and its ``throttle_scope``."""

    view_name: str
    template: str
    is_cached: bool
    throttle_scope: str = ""

    @property
    def has_arguments(self) -> bool:
        """True where the path is not one path but many."""
        return "{" in self.template


@lru_cache(maxsize=1)
def view_paths() -> tuple[ViewPath, ...]:
    """All views of the project."""
    return tuple(_walk(get_resolver(), "/", ""))


def routes_of_path(text: str) -> list[str]:
    """Names of the cached views whose path the route ``text`` matches."""
    route = parse_route(text)
    return [view.view_name for view in view_paths() if view.is_cached and _is_on(route, view)]


def _is_on(route: Route, view: ViewPath) -> bool:
    if route.matches(view.template, view.view_name):
        return True
    return bool(view.throttle_scope) and route.text == SCOPE_ROUTE + view.throttle_scope


def _walk(resolver: URLResolver, prefix: str, namespace: str) -> Iterator[ViewPath]:
    for pattern in resolver.url_patterns:
        template = prefix + _template(pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern, template, inner)
        elif isinstance(pattern, URLPattern):
            name = f"{namespace}{pattern.name}" if pattern.name else ""
            scope = getattr(getattr(pattern.callback, "cls", None), "throttle_scope", None) or ""
            yield ViewPath(name, template, _is_cached(pattern.callback), scope)


def _template(pattern: URLPattern | URLResolver) -> str:
    return _ARGUMENT.sub(r"{\1}", str(pattern.pattern)) if isinstance(pattern.pattern, RoutePattern) else ""


_ARGUMENT = re.compile(r"<(?:[^>:]+:)?([^>]+)>")


def _is_cached(callback: Any) -> bool:
    view_class = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view_class is None:
        return hasattr(callback, SETTINGS_ATTRIBUTE)
    action = (getattr(callback, "actions", None) or {}).get("get", "get")
    handler = getattr(view_class, action, None)
    return hasattr(handler, SETTINGS_ATTRIBUTE) or hasattr(below_api_view(handler), SETTINGS_ATTRIBUTE)


def below_api_view(handler: Any) -> Callable[..., Any] | None:
    """The function that DRF's ``@api_view`` has made a method of; nothing but its closure knows it."""
    function: Any = getattr(handler, "__func__", handler)
    if getattr(function, "__qualname__", "") != "api_view.<locals>.decorator.<locals>.handler":
        return None
    inner: Callable[..., Any] | None = inspect.getclosurevars(function).nonlocals.get("func")
    return inner
