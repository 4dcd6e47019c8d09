"""Jobs in the admin: read, cancelled, never edited."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from perf.jobs import states
from perf.models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    list_display = [
        "type",
        "status",
        "percent",
        "message",
        "attempt",
        "submitted_by",
        "submitted_at",
        "duration",
    ]
    list_filter = ["status", "type"]
    search_fields = ["id", "type", "submitted_by__username"]
    list_select_related = ["submitted_by"]
    show_full_result_count = False
    date_hierarchy = "submitted_at"
    actions = ["cancel"]
    readonly_fields = [
        "id", "type", "status", "percent", "message", "attempt", "queue", "submitted_by", "submitted_at",
        "started_at", "finished_at", "duration", "parameters", "outcome", "error",
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are submitted by API and code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list is for looking; `cancel` asks for the permission itself."""
        return False

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whoever may change jobs may cancel them."""
        return request.user.has_perm("perf.change_job")

    @admin.action(description=gettext_lazy("Cancel selected"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """End waiting and running jobs."""
        cancelled = [job for job in jobs if states.cancel(job)]
        for job in cancelled:
            self.log_change(request, job, "Cancelled.")
        counts = {"n": len(cancelled), "rest": len(jobs) - len(cancelled)}
        self.message_user(request, _("Cancelled: %(n)d; had ended already: %(rest)d.") % counts, messages.SUCCESS)

    @admin.display(description="progress")
    def percent(self, job: Job) -> str:
        """In percent."""
        return f"{job.progress:.0%}"

    @admin.display(description="ran for")
    def duration(self, job: Job) -> str:
        """From start to end."""
        if job.started_at is None or job.finished_at is None:
            return "-"
        return f"{(job.finished_at - job.started_at).total_seconds():.1f} s"

    @admin.display(description="parameters")
    def parameters(self, job: Job) -> str:
        """Pretty-printed."""
        return _pretty(job.params)

    @admin.display(description="result")
    def outcome(self, job: Job) -> str:
        """Pretty-printed."""
        return _pretty(job.result)


def _pretty(data: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(data, indent=2, ensure_ascii=False)) if data is not None else "-"
