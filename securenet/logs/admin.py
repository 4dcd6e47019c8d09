"""Log events and analyses in the admin: for looking."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.parsers import Kind

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts to 10,000 and no further: counting a large table takes longer than anybody waits for a page."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most `MOST_COUNTED`."""
        return self.object_list.order_by()[:MOST_COUNTED].count()


class KindFilter(admin.SimpleListFilter):
    """By kind; they are known, so the table need not be searched for them."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All kinds."""
        return [(kind.value, kind.value) for kind in Kind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LogEvent]) -> QuerySet[LogEvent]:
        """Events of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that are only written by programs."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Events are ingested."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened is not undone."""
        return False


@admin.register(LogEvent)
class LogEventAdmin(ReadOnlyAdmin):
    list_display = ["time", "kind", "source", "host", "program", "source_ip", "user_name", "message"]
    list_filter = [KindFilter]
    paginator = BoundedPaginator
    search_fields = ["message", "user_name"]
    ordering = ["-time", "-id"]


@admin.register(AnalysisRun)
class AnalysisRunAdmin(ReadOnlyAdmin):
    list_display = ["finished_at", "events", "detections", "findings_new", "source"]
