"""Log events and analyses in the admin: for looking."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from securenet.logs.models import AnalysisRun, LogEvent


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that are only written by programs."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Events are ingested."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened is not edited."""
        return False


@admin.register(LogEvent)
class LogEventAdmin(ReadOnlyAdmin):
    list_display = ["time", "kind", "source", "host", "program", "source_ip", "user_name", "message"]
    list_filter = ["kind"]
    search_fields = ["message", "user_name"]
    ordering = ["-time", "-id"]


@admin.register(AnalysisRun)
class AnalysisRunAdmin(ReadOnlyAdmin):
    list_display = ["finished_at", "events", "detections", "findings_new", "source"]
