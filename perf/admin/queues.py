"""django-rq's own pages in the admin: for those who may see jobs; what they change, for those who may change jobs.

By itself django-rq lets any member of the staff empty a queue.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from rq.exceptions import NoSuchJobError

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class GuardedQueueAdmin(QueueAdmin):
    """django-rq's pages behind the permissions on `perf.models.Job`."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may see jobs."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see jobs."""
        return request.user.has_perm("perf.view_job") or request.user.has_perm("perf.change_job")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change jobs."""
        return request.user.has_perm("perf.change_job")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Queues are not deleted."""
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> None:
        """There is none: the model has no table, and Django's admin routes to pages of its rows all the same."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The first page, which Django's admin routes to by itself."""
        self._check(request)
        return super().changelist_view(request, extra_context)

    def get_urls(self) -> list[URLPattern]:
        """django-rq's, each behind the check."""
        patterns: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        for pattern in patterns:
            pattern.callback = self._guarded(pattern.callback)
        return patterns

    def _guarded(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if self.admin_site.has_permission(request):  # others are sent to the sign-in page
                self._check(request)
            try:
                return view(request, *args, **kwargs)
            except NoSuchJobError as error:  # some of django-rq's pages look for it, others do not
                raise Http404(str(error)) from error

        return guarded

    def _check(self, request: HttpRequest) -> None:
        allowed = self.has_view_permission if request.method in SAFE_METHODS else self.has_change_permission
        if not allowed(request):
            raise PermissionDenied


if admin.site.is_registered(Dashboard):  # RQ_SHOW_ADMIN_LINK = False takes the pages away
    admin.site.unregister(Dashboard)
    admin.site.register(Dashboard, GuardedQueueAdmin)
