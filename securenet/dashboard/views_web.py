"""The pages for people who are signed in: the posture at ``/``, and the lists behind its numbers.

What they show comes from the API, asked in this process; what their forms send goes to it as well.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import FilterSet

from perf.api.views import visible_jobs
from perf.models import Job
from securenet.dashboard.charts import bar_chart
from securenet.dashboard.listing import api_query, listing
from securenet.dashboard.own_api import Answer, Refused, ask
from securenet.dashboard.pages import SOON, Page
from securenet.dashboard.permissions import may
from securenet.dashboard.words import evidence_of, history_of
from securenet.logs.filters import LogEventFilter
from securenet.network.filters import AssetFilter
from securenet.notifications.views import NotificationFilter
from securenet.security.filters import FindingFilter, ScanFilter
from securenet.security.findings import may_become
from securenet.security.models import Finding, Scan, ScanHost
from securenet.security.views import FindingView, ScansView

NEWEST = 10
MOST_HOSTS = 200
_BETWEEN_TARGETS = re.compile(r"[\s,;]+")


class HomePage(Page):
    """The posture: findings, assets, events, scans and jobs. The numbers are those of the cached dashboard."""

    template_name = "dashboard/home.html"
    section = "home"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        data = self.ask("dashboard:cached").data
        trend, hours = data["findings"]["trend"], data["events"]["per_hour"]
        days = [f"{datetime.fromisoformat(row['day']):%d %b}" for row in trend]
        scans = list(Scan.objects.with_state().select_related("job").order_by("-pk")[:NEWEST])
        jobs = list(visible_jobs(self.request.user)[:NEWEST])
        is_busy = any(scan.state in Job.ACTIVE for scan in scans) or any(job.is_active for job in jobs)
        return super().get_context_data(
            posture=data,
            severities=list(reversed(data["findings"]["by_severity"].items())),
            events_chart=bar_chart([(_hour(row["hour"]), row["events"]) for row in hours]),
            new_chart=bar_chart([(day, row["new"]) for day, row in zip(days, trend, strict=True)]),
            resolved_chart=bar_chart([(day, row["resolved"]) for day, row in zip(days, trend, strict=True)]),
            findings=Finding.objects.filter(state__in=Finding.ACTIVE).select_related("asset")[:NEWEST],
            scans=scans,
            jobs=jobs,
            **({"refresh": SOON} if is_busy else {}),
            **context,
        )


class ListPage(Page):
    """A list of the API with the filters of its view."""

    api_view = ""
    filterset: type[FilterSet]
    filters: dict[str, Any]

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        answer = self.ask(self.api_view, query=api_query(self.request.GET, list(self.filters)))
        rows = listing(self.request.GET, self.filters, self.filterset, answer.data, answer.errors())
        return super().get_context_data(listing=rows, **context)

    def render_to_response(self, context: dict[str, Any], **options: Any) -> HttpResponse:
        refused = self.answer is not None and self.answer.is_refusal
        return super().render_to_response(context, **{**({"status": 400} if refused else {}), **options})


class FindingsPage(ListPage):
    """What is wrong."""

    template_name = "dashboard/findings.html"
    section = "findings"
    api_view = "security:findings"
    filterset = FindingFilter
    filters = {
        "search": gettext_lazy("Text"),
        "severity": gettext_lazy("Severity"),
        "state": gettext_lazy("State"),
        "source": gettext_lazy("Source"),
        "asset": gettext_lazy("Number of the asset"),
    }


class FindingPage(Page):
    """One finding, and its triage."""

    template_name = "dashboard/finding.html"
    section = "findings"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        finding = self.ask("security:finding", context["pk"]).data
        may_triage = may(self.request.user, FindingView, "PATCH")
        until = (finding["accepted_until"] or "")[:16]
        given = {
            "state": finding["state"],
            "triage_note": finding["triage_note"],
            "accepted_until": until,
            "shown_until": until,
        }
        states = [choice for choice in Finding.State.choices if may_become(finding["state"], choice[0])]
        return super().get_context_data(
            finding=finding,
            evidence=evidence_of(finding["evidence"]),
            history=history_of(finding),
            may_triage=may_triage,
            states=states,
            **{"form": given, "errors": {}, "refusal": "", **context},
        )

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Triage as the API has it. An end is sent with an accepted risk, and wherever it was changed."""
        form = _sent(request, "state", "triage_note", "accepted_until", "shown_until")
        body: dict[str, Any] = {"state": form["state"], "triage_note": form["triage_note"]}
        if form["state"] == Finding.State.RISK_ACCEPTED or form["accepted_until"] != form["shown_until"]:
            body["accepted_until"] = form["accepted_until"] or None
        answer = ask(request, "security:finding", pk, method="PATCH", body=body)
        if not answer.is_refusal:
            messages.success(request, _("Saved: the finding is %s.") % Finding.State(answer.data["state"]).label)
            return redirect("finding", pk)
        return _form_again(self, answer, pk=pk, form=form)


class AssetsPage(ListPage):
    """The machines of the network."""

    template_name = "dashboard/assets.html"
    section = "assets"
    api_view = "network:assets"
    filterset = AssetFilter
    filters = {
        "search": gettext_lazy("Text"),
        "exposure": gettext_lazy("Exposure"),
        "criticality": gettext_lazy("Criticality"),
        "kind": gettext_lazy("Kind"),
        "open_port": gettext_lazy("Open port"),
    }


class ScansPage(ListPage):
    """The scans with their progress, and the form that starts one."""

    template_name = "dashboard/scans.html"
    section = "scans"
    api_view = "security:scans"
    filterset = ScanFilter
    filters = {"state": gettext_lazy("State"), "started_by": gettext_lazy("Started by")}

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        given = {"targets": self.request.GET.get("targets", ""), "ports": "", "token": uuid.uuid4().hex}
        context = super().get_context_data(
            may_scan=may(self.request.user, ScansView, "POST"),
            **{"form": given, "errors": {}, "refusal": "", **context},
        )
        if any(scan["state"] in Job.ACTIVE for scan in context["listing"].results):
            context["refresh"] = SOON
        return context

    def post(self, request: HttpRequest) -> HttpResponse:
        """Start a scan as the API does. A form that is sent twice starts one scan."""
        form = _sent(request, "targets", "ports", "token")
        targets = [target for target in _BETWEEN_TARGETS.split(form["targets"]) if target]
        body = {"targets": targets, **({"ports": form["ports"]} if form["ports"] else {})}
        key = blake2b(repr((form["token"], body)).encode(), digest_size=16).hexdigest()
        answer = ask(request, self.api_view, method="POST", body=body, idempotency_key=key)
        if not answer.is_refusal:
            messages.success(request, _("The scan waits for a worker, or runs already."))
            return redirect("scan", Scan.objects.values_list("pk", flat=True).get(job_id=answer.data["id"]))
        return _form_again(self, answer, form=form, sent_targets=targets)


class ScanPage(Page):
    """One scan: how far it is, what it saw, and what has changed since the one before."""

    template_name = "dashboard/scan.html"
    section = "scans"

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        scan = self.ask("security:scan", context["pk"]).data
        is_active = scan["state"] in Job.ACTIVE
        hosts = ScanHost.objects.filter(scan_id=scan["id"]).order_by("address")
        return super().get_context_data(
            scan=scan,
            ports=scan["ports"].replace(",", ", "),
            job=visible_jobs(self.request.user).filter(pk=scan["job"]).first() if scan["job"] else None,
            is_active=is_active,
            hosts=hosts[:MOST_HOSTS],
            comparison=self._comparison(scan["id"]) if scan["state"] == Job.Status.COMPLETED else None,
            **({"refresh": SOON} if is_active else {}),
            **context,
        )

    def _comparison(self, pk: int) -> dict[str, Any]:
        """What the API says of it, a problem's words included: one scan may not be comparable."""
        named = self.request.GET.get("with", "").strip()
        answer = ask(self.request, "security:comparison", pk, query=urlencode({"with": named}) if named else "")
        if answer.errors():
            return {"detail": " ".join(text for texts in answer.errors().values() for text in texts)}
        comparison: dict[str, Any] = answer.data
        return comparison


class EventsPage(ListPage):
    """Log events."""

    template_name = "dashboard/events.html"
    section = "events"
    api_view = "logs:logs"
    filterset = LogEventFilter
    filters = {
        "q": gettext_lazy("Text"),
        "kind": gettext_lazy("Kind"),
        "source": gettext_lazy("Source"),
        "source_ip": gettext_lazy("Address"),
        "user": gettext_lazy("User"),
        "since": gettext_lazy("Since (UTC)"),
        "until": gettext_lazy("Until (UTC)"),
    }


class NotificationsPage(ListPage):
    """What somebody was told."""

    template_name = "dashboard/notifications.html"
    section = "notifications"
    api_view = "notifications:notifications"
    filterset = NotificationFilter
    filters = {"unread": gettext_lazy("Unread"), "severity": gettext_lazy("Severity")}

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Mark one as read or unread, as the API does."""
        body = {"read": request.POST.get("read") == "true"}
        answer = ask(request, "notifications:notification", pk, method="PATCH", body=body)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise Http404(answer.data["detail"])
        if answer.is_refusal:
            raise Refused(answer)
        query = request.GET.urlencode()
        return redirect(f"{reverse('notifications')}?{query}" if query else "notifications")


def _sent(request: HttpRequest, *names: str) -> dict[str, str]:
    return {name: request.POST.get(name, "").strip() for name in names}


def _form_again(page: Any, answer: Answer, *, form: dict[str, str], **context: Any) -> HttpResponse:
    """The page with its form as it was sent, and at each field what is wrong there.

    Raises:
        Http404, Refused: it is not the form that is wrong.
    """
    if answer.status == HTTPStatus.NOT_FOUND:
        raise Http404(answer.data["detail"])
    targets = context.pop("sent_targets", [])
    errors: dict[str, list[str]] = {}
    for place, texts in answer.errors().items():
        name, _dot, index = place.partition(".")
        about = f"{targets[int(index)]}: " if index.isdigit() and int(index) < len(targets) else ""
        errors.setdefault(name, []).extend(f"{about}{text}" for text in texts)
    if "target" in answer.data:  # one that may not be scanned
        errors["targets"] = [answer.data["detail"]]
    if answer.status == HTTPStatus.FORBIDDEN and not errors:
        raise Refused(answer)
    refusal = "" if errors.keys() & form.keys() else answer.data["detail"]
    filled = page.get_context_data(form=form, errors=errors, refusal=refusal, **context)
    response: HttpResponse = page.render_to_response(filled, status=answer.status)
    if "Retry-After" in answer.headers:
        response["Retry-After"] = answer.headers["Retry-After"]
    return response


def _hour(text: str) -> str:
    time = parse_datetime(text)
    return f"{time:%H:%M}" if time else text
