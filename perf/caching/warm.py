"""Fills the cache as a role would: requests the cached views of chosen policies inside this process.

Such a request takes the same way through view, permissions and cache as a client's, so it makes the same entry; only
limits and statistics leave it out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseBase
from django.urls import resolve

from perf.caching.paths import ViewPath, view_paths
from perf.gate.callers import UNKNOWN_ADDRESS, Caller
from perf.models import CachePolicy
from perf.policies.compile import load_snapshot
from perf.records import RequestRecord


class Warmed(Enum):
    """What became of one request."""

    FILLED = "filled"
    FRESH = "fresh"  # it was there already
    NOT_FILLED = "not_filled"


@dataclass(frozen=True, slots=True)
class RoleUser:
    """Stands for every user whose only role this is."""

    role: str
    pk: str
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = False

    @property
    def id(self) -> str:
        return self.pk

    @property
    def username(self) -> str:
        return f"role {self.role}"

    @property
    def roles(self) -> frozenset[str]:
        return frozenset([self.role])

    def get_username(self) -> str:
        """As Django's users have it."""
        return self.username


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """One view to request as one role."""

    view: ViewPath
    policy: str
    role: str


def plan(policies: Sequence[str], roles: Sequence[str]) -> tuple[list[WarmRequest], list[str]]:
    """The requests that warm ``policies`` for ``roles``, and the names of policies that cannot be warmed by role."""
    snapshot = load_snapshot()
    chosen = CachePolicy.objects.filter(enabled=True).order_by("position", "pk")
    if policies:
        chosen = chosen.filter(name__in=policies)
    requests: list[WarmRequest] = []
    skipped: list[str] = []
    for policy in chosen:
        if policy.shared_by == CachePolicy.SharedBy.USER:
            skipped.append(policy.name)
            continue
        for view in view_paths():
            if view.is_cached and not view.has_arguments:
                match = snapshot.match(view.template, view.view_name, "GET", frozenset(), True)
                if match.cache is not None and match.cache.name == policy.name:
                    requests.extend(WarmRequest(view, policy.name, role) for role in roles)
    return requests, skipped


def warm(request: WarmRequest) -> Warmed:
    """Make one request; an error of the view counts as not filled."""
    http = _request(request.view.template)
    user = RoleUser(request.role, f"role:{request.role}")
    caller = Caller(user.pk, user.roles, UNKNOWN_ADDRESS, name=user.username)
    record = RequestRecord(caller=caller, is_warming=True)
    http.perf = record  # type: ignore[attr-defined]
    http.user = user  # type: ignore[assignment]
    http._force_auth_user = user  # type: ignore[attr-defined]  # DRF's own way to skip authentication
    match = resolve(request.view.template)
    http.resolver_match = match
    try:
        response: HttpResponseBase = match.func(http, *match.args, **match.kwargs)
        if not getattr(response, "is_rendered", True):
            response = response.render()  # type: ignore[attr-defined]
    finally:
        for action in record.on_finish:
            action()
    return _result(record.cache_status)


def _result(cache_status: str) -> Warmed:
    if cache_status.startswith("hit"):
        return Warmed.FRESH
    return Warmed.FILLED if "stored" in cache_status else Warmed.NOT_FILLED


def _request(path: str) -> WSGIRequest:
    return WSGIRequest(
        {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "",
            "HTTP_ACCEPT": "application/json",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
    )
