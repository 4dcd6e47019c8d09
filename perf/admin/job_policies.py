"""Job policies in the admin. A policy's name is the job type it is about."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from perf.admin.base import PolicyAdmin, PolicyForm
from perf.admin.fields import RolesField, for_how_long
from perf.admin.lists import PolicyListMixin, WithWarningsFilter, side_by_side
from perf.jobs.registry import job_type_names
from perf.models import JobPolicy


class JobPolicyForm(PolicyForm):
    """The name is one of the registered job types."""

    roles = RolesField(required=False, help_text=JobPolicy._meta.get_field("roles").help_text)

    class Meta:
        model = JobPolicy
        fields = "__all__"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = sorted({JobPolicy.ALL_TYPES, *job_type_names(), *([self.instance.name] if self.instance.name else [])})
        if "name" in self.fields:
            self.fields["name"] = forms.ChoiceField(
                choices=[(name, name) for name in names],
                label=_("Job type"),
                help_text=_("all: the capacity of all types together, and the terms of those without a policy."),
            )


@admin.register(JobPolicy)
class JobPolicyAdmin(PolicyListMixin, PolicyAdmin):
    form = JobPolicyForm
    may_prepare = False  # a type whose policy is disabled takes no jobs: that is in force as well
    list_display = ["name", "in_words", "who", "cron", "jobs_now", "jobs_last_hour", "warnings", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled", WithWarningsFilter, ("cron", admin.EmptyFieldListFilter)]
    search_fields = ["name", "cron", "comment"]
    actions = ["enable", "disable"]
    fieldsets = [
        (None, {"fields": ["name", "enabled", "capacity", "roles"]}),
        ("Running", {"fields": ["timeout", "max_attempts", "retry_backoff", "cron"]}),
        ("Afterwards", {"fields": ["keep_results_for"]}),
        ("Notes", {"fields": ["comment", "change_reason"]}),
    ]

    @admin.display(description="what it does")
    def in_words(self, policy: JobPolicy) -> str:
        """``at most 100 at a time, each for 10 minutes, 3 attempts``."""
        return _("at most %(capacity)d at a time, each for %(time)s, %(attempts)d attempts") % {
            "capacity": policy.capacity,
            "time": for_how_long(policy.timeout),
            "attempts": policy.max_attempts,
        }

    @admin.display(description=gettext_lazy("jobs now"))
    def jobs_now(self, policy: Any) -> str:
        """``3 waiting · 1 running``."""
        jobs = policy.list_facts.jobs.get(policy.name, {})
        return side_by_side(_("%d waiting") % jobs.get("waiting", 0), _("%d running") % jobs.get("running", 0))

    @admin.display(description=gettext_lazy("last hour"))
    def jobs_last_hour(self, policy: Any) -> str:
        """``20 completed · 0 failed``."""
        jobs = policy.list_facts.jobs.get(policy.name, {})
        return side_by_side(_("%d completed") % jobs.get("completed", 0), _("%d failed") % jobs.get("failed", 0))

    @admin.display(description="who may submit")
    def who(self, policy: JobPolicy) -> str:
        """The roles."""
        return ", ".join(policy.roles) or _("everybody who is signed in")
