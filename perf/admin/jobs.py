"""Jobs in the admin: read, cancelled, run again, never edited."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_rq.models import Dashboard

from perf.jobs import states
from perf.jobs.errors import QueueFull
from perf.jobs.overview import overview
from perf.models import Job, JobEvent


class JobEventInline(admin.TabularInline):
    """The job's timeline: each attempt, who ran it, what it said, and how it ended."""

    model = JobEvent
    verbose_name_plural = gettext_lazy("timeline")
    fields = ("at", "attempt", "kind", "text")
    readonly_fields = fields
    can_delete = False
    extra = max_num = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see the job."""
        return request.user.has_perm("perf.view_job") or request.user.has_perm("perf.change_job")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened stays."""
        return False


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    change_list_template = "admin/perf/job/change_list.html"
    inlines = [JobEventInline]
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
    actions = ["cancel", "run_again"]
    fields = (
        "id", "type", "status", "percent", "message", "attempt", "queue", "submitted_by", "submitted_at",
        "started_at", "finished_at", "duration", "parameters", "outcome", "error",
    )  # fmt: skip
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are submitted by API and code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list is for looking; `cancel` asks for the permission itself."""
        return False

    def has_end_or_rerun_permission(self, request: HttpRequest) -> bool:
        """Whoever may change jobs may cancel them, and run them again."""
        return request.user.has_perm("perf.change_job")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, below the state of the queues."""
        queues = {"overview": overview(), "has_queue_pages": self.admin_site.is_registered(Dashboard)}
        return super().changelist_view(request, {**(extra_context or {}), **queues})

    @admin.action(description=gettext_lazy("Cancel selected"), permissions=["end_or_rerun"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """End waiting and running jobs."""
        cancelled = [job for job in jobs if states.cancel(job, by=request.user.get_username())]
        for job in cancelled:
            self.log_change(request, job, "Cancelled.")
        counts = {"n": len(cancelled), "rest": len(jobs) - len(cancelled)}
        self.message_user(request, _("Cancelled: %(n)d; had ended already: %(rest)d.") % counts, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Run selected again"), permissions=["end_or_rerun"])
    def run_again(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Give failed and cancelled jobs one more attempt."""
        done = 0
        for job in jobs:
            try:
                if not states.run_again(job, by=request.user.get_username()):
                    reason = _("only failed and cancelled jobs can be run again")
                else:
                    done += 1
                    self.log_change(request, job, "Run again.")
                    continue
            except QueueFull as full:
                reason = str(full.detail)
            except IntegrityError:
                reason = _("an identical job is waiting or running")
            self.message_user(request, f"{job}: {reason}.", messages.WARNING)
        self.message_user(request, _("To be run again: %(n)d.") % {"n": done}, messages.SUCCESS)

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
