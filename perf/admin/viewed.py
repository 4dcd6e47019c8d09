"""What a path leads to: the view, and whether it asks for policies, is limited in code, or is cached.

The view is made as a request would make it, but never called.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.wsgi import WSGIRequest
from django.urls import Resolver404, ResolverMatch, resolve
from rest_framework.views import APIView

from perf.caching.decorator import LIMITED_ATTRIBUTE, SETTINGS_ATTRIBUTE
from perf.caching.lookup import CacheSettings
from perf.caching.paths import below_api_view
from perf.policies.snapshot import LimitRule
from perf.rate_limiting import limited_name, limits_in_code
from perf.throttling import is_limited


@dataclass(frozen=True, slots=True)
class Viewed:
    """A view as policies know it.

    ``asks_policies`` is True where it has a `PolicyThrottle`, ``is_limited_in_code`` where it has a `rate_limit`, whose
    rates are ``own_limits``: a policy that is named in code cannot be seen from here. ``cache`` is what its
    `cache_api_response` was given, None where it is not cached for the method.
    """

    name: str
    asks_policies: bool
    throttle_scope: str
    is_limited_in_code: bool
    own_limits: tuple[LimitRule, ...]
    cache: CacheSettings | None
    has_method: bool

    @property
    def asks_gate(self) -> bool:
        """Whether access rules and limits have a say."""
        return self.asks_policies or self.is_limited_in_code


def described_request(method: str, path: str, query: str) -> WSGIRequest:
    """The request that a server would hand to Django for a path and query as they stand in an address bar."""
    return WSGIRequest(
        {
            "REQUEST_METHOD": method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1"),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "",
            "HTTP_ACCEPT": "application/json",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
    )


def view_of(request: WSGIRequest, user: Any = None) -> Viewed | None:
    """The view on the path of ``request``, for ``user``; None where there is none."""
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return None
    request.resolver_match = match
    request.user = user or AnonymousUser()
    view = _view_object(match, request)
    handler = match.func if view is None else getattr(view, (request.method or "GET").lower(), None)
    functions = [function for function in (match.func, handler, below_api_view(handler)) if function is not None]
    cache = next((each for each in (getattr(it, SETTINGS_ATTRIBUTE, None) for it in functions) if each), None)
    return Viewed(
        name=match.view_name,
        asks_policies=isinstance(view, APIView) and is_limited(view),
        throttle_scope=(getattr(view, "throttle_scope", None) or "") if isinstance(view, APIView) else "",
        is_limited_in_code=any(hasattr(function, LIMITED_ATTRIBUTE) for function in functions),
        own_limits=_own_limits(functions),
        cache=cache if isinstance(cache, CacheSettings) else None,
        has_method=handler is not None,
    )


def _view_object(match: ResolverMatch, request: WSGIRequest) -> Any:
    """The instance of a class-based view, ready for ``request``; None for a function."""
    callback: Any = match.func
    view_class = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view_class is None:
        return None
    view = view_class(**(getattr(callback, "initkwargs", None) or getattr(callback, "view_initkwargs", None) or {}))
    actions = dict(getattr(callback, "actions", None) or {})
    if "get" in actions:
        actions.setdefault("head", actions["get"])
    for method, action in actions.items():
        setattr(view, method, getattr(view, action))
    view.setup(request, *match.args, **match.kwargs)
    if isinstance(view, APIView):
        view.action_map = actions  # type: ignore[attr-defined]
        view.request = view.initialize_request(request, *match.args, **match.kwargs)
        view.request.user = request.user
    return view


def _own_limits(functions: list[Any]) -> tuple[LimitRule, ...]:
    """The rates in code, by the name under which `rate_limit` keeps them."""
    names = {
        f"{limited_name(function)}:"
        for function in functions
        if hasattr(function, LIMITED_ATTRIBUTE) and hasattr(function, "__qualname__")
    }
    return tuple(
        replace(rule, count_by=rule.count_by or "user_or_ip")
        for rule_id, rule in limits_in_code.items()
        if any(rule_id.startswith(name) for name in names)
    )
