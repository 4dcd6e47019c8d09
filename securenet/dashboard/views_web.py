"""The page at ``/``: the posture at a glance, for people who are signed in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.views.generic import TemplateView

from perf.models import Job
from securenet.accounts.permissions import has_role
from securenet.accounts.roles import ADMINS
from securenet.dashboard.charts import bar_chart
from securenet.dashboard.posture import posture
from securenet.security.models import Finding, Scan

NEWEST = 10


class HomeView(LoginRequiredMixin, TemplateView):
    """Findings, assets, events, scans and jobs."""

    template_name = "dashboard/home.html"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        data = posture()
        return super().get_context_data(
            posture=data,
            severities=list(reversed(data["findings"]["by_severity"].items())),
            events_chart=bar_chart([(f"{row['hour']:%H:%M}", row["events"]) for row in data["events"]["per_hour"]]),
            trend_chart=bar_chart([(f"{row['day']:%d %b}", row["new"]) for row in data["findings"]["trend"]]),
            findings=Finding.objects.filter(state__in=Finding.ACTIVE).select_related("asset")[:NEWEST],
            scans=Scan.objects.with_state().order_by("-pk")[:NEWEST],
            jobs=visible_jobs(self.request.user)[:NEWEST],
            **context,
        )


def visible_jobs(user: Any) -> QuerySet[Job]:
    """As in the API: admins see every job, others their own."""
    return Job.objects.all() if has_role(user, ADMINS) else Job.objects.filter(submitted_by_id=user.pk)
