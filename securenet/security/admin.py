"""Findings and scans in the admin: triage by page and in bulk, scans looked at and repeated."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException

from perf.jobs import submit
from securenet.accounts.permissions import has_role
from securenet.accounts.roles import ANALYSTS
from securenet.network.admin import ReadOnlyAdmin
from securenet.security.comparison import Comparison, NotComparable, compare, previous_scan, worst_findings
from securenet.security.findings import (
    AcceptanceRefused,
    TransitionRefused,
    may_become,
    refuse_acceptance,
    reopen_accepted,
    triage,
)
from securenet.security.models import Finding, Scan
from securenet.security.signals import SECURITY_SCAN

State = Finding.State
# Findings of each kind that the page of a scan names.
MOST_NAMED = 50


class TriageActionForm(ActionForm):
    """The note goes to every selected finding; empty, it leaves theirs as they are."""

    triage_note = forms.CharField(
        label=gettext_lazy("Note"), required=False, max_length=5000, widget=forms.TextInput(attrs={"size": 40})
    )
    accepted_until = forms.DateTimeField(
        label=gettext_lazy("Accepted until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=gettext_lazy("Only for an accepted risk; empty: without end."),
    )


class FindingForm(forms.ModelForm):
    """The triage of a finding."""

    def clean_state(self) -> str:
        state: str = self.cleaned_data["state"]
        before = Finding.objects.values_list("state", flat=True).get(pk=self.instance.pk)
        if not may_become(before, state):
            raise forms.ValidationError(str(TransitionRefused(before, state)), code="transition_refused")
        return state

    def clean(self) -> dict[str, Any] | None:
        """An end that is still there from before says nothing once the risk is not accepted any more."""
        data = super().clean()
        state = self.cleaned_data.get("state", State.RISK_ACCEPTED)
        if state != State.RISK_ACCEPTED and "accepted_until" not in self.changed_data:
            self.cleaned_data["accepted_until"] = None
        try:
            refuse_acceptance(state, self.cleaned_data.get("accepted_until"), timezone.now())
        except AcceptanceRefused as refused:
            self.add_error("accepted_until", forms.ValidationError(str(refused), code="acceptance_refused"))
        return data


@admin.register(Finding)
class FindingAdmin(admin.ModelAdmin):
    form = FindingForm
    action_form = TriageActionForm
    list_display = ["title", "severity_shown", "state", "asset", "subject", "port", "source", "last_seen", "triaged_by"]
    list_filter = ["state", "severity", "source", "check_id", "last_seen", "accepted_until"]
    search_fields = ["title", "subject", "asset__address", "asset__hostname", "asset__name", "fingerprint"]
    list_select_related = ["asset", "triaged_by"]
    show_full_result_count = False
    actions = ["acknowledge", "mark_false_positive", "accept_risk", "mark_resolved", "reopen"]
    readonly_fields = [
        "title", "severity", "description", "advice", "asset", "subject", "port", "protocol", "source", "check_id",
        "confidence", "cvss_score", "cvss_vector", "evidence_shown", "first_seen", "last_seen", "times_seen",
        "regressions", "resolved_at",
        "triaged_by", "triaged_at", "fingerprint",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["title", "severity", "cvss_score", "cvss_vector", "description", "advice"]}),
        (
            gettext_lazy("Triage"),
            {"fields": ["state", "accepted_until", "triage_note", "triaged_by", "triaged_at", "resolved_at"]},
        ),
        (gettext_lazy("Where"), {"fields": ["asset", "subject", "port", "protocol"]}),
        (gettext_lazy("Evidence"), {"fields": ["evidence_shown", "source", "check_id", "confidence", "fingerprint"]}),
        (gettext_lazy("History"), {"fields": ["first_seen", "last_seen", "times_seen", "regressions"]}),
    ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, and what is done with those selected in it."""
        reopen_accepted()
        return super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page of one."""
        reopen_accepted()
        return super().changeform_view(request, *args, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Scans and log analyses find; people judge."""
        return False

    def save_model(self, request: HttpRequest, obj: Finding, form: Any, change: bool) -> None:
        """A triage, as in the API."""
        triage(obj.pk, by_id=request.user.pk, state=obj.state, note=obj.triage_note, accepted_until=obj.accepted_until)

    @admin.display(description=gettext_lazy("severity"), ordering="severity_rank")
    def severity_shown(self, finding: Finding) -> str:
        """Sorted from info to critical."""
        return finding.get_severity_display()

    @admin.display(description=gettext_lazy("evidence"))
    def evidence_shown(self, finding: Finding) -> str:
        """Pretty-printed. It is made of what strangers sent, so it is escaped."""
        return format_html("<pre>{}</pre>", json.dumps(finding.evidence, indent=2, ensure_ascii=False, sort_keys=True))

    @admin.action(description=gettext_lazy("Acknowledge"), permissions=["change"])
    def acknowledge(self, request: HttpRequest, findings: QuerySet[Finding]) -> None:
        """Somebody is at it."""
        self._triage(request, findings, State.ACKNOWLEDGED)

    @admin.action(description=gettext_lazy("Mark as false positive"), permissions=["change"])
    def mark_false_positive(self, request: HttpRequest, findings: QuerySet[Finding]) -> None:
        """There is nothing wrong."""
        self._triage(request, findings, State.FALSE_POSITIVE)

    @admin.action(description=gettext_lazy("Accept the risk"), permissions=["change"])
    def accept_risk(self, request: HttpRequest, findings: QuerySet[Finding]) -> None:
        """It stays as it is, for ever or until the time given."""
        self._triage(request, findings, State.RISK_ACCEPTED)

    @admin.action(description=gettext_lazy("Mark as resolved"), permissions=["change"])
    def mark_resolved(self, request: HttpRequest, findings: QuerySet[Finding]) -> None:
        """It was put right."""
        self._triage(request, findings, State.RESOLVED)

    @admin.action(description=gettext_lazy("Reopen"), permissions=["change"])
    def reopen(self, request: HttpRequest, findings: QuerySet[Finding]) -> None:
        """It has to be looked at again."""
        self._triage(request, findings, State.OPEN)

    def _triage(self, request: HttpRequest, findings: QuerySet[Finding], state: State) -> None:
        note = request.POST.get("triage_note", "").strip()[:5000] or None
        until = TriageActionForm.base_fields["accepted_until"].clean(request.POST.get("accepted_until"))
        changed = 0
        refused: list[str] = []
        for finding in findings:
            try:
                triage(finding.pk, by_id=request.user.pk, state=state, note=note, accepted_until=until)
            except (TransitionRefused, AcceptanceRefused) as refusal:
                refused.append(f"{finding}: {refusal}")
                continue
            changed += 1
            self.log_change(request, finding, [{"changed": {"fields": ["state"]}}])
        self.message_user(
            request, _("%(n)d findings are now: %(state)s.") % {"n": changed, "state": state.label}, messages.SUCCESS
        )
        for text in refused[:10]:
            self.message_user(request, text, messages.WARNING)
        if len(refused) > 10:
            self.message_user(request, _("Refused in all: %d.") % len(refused), messages.WARNING)


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin, admin.ModelAdmin):
    list_display = [
        "__str__", "state", "started_by", "submitted_at", "finished_at", "hosts_up", "open_ports", "findings_new",
        "findings_resolved",
    ]  # fmt: skip
    list_filter = ["job__status", "submitted_at"]
    search_fields = ["started_by__username", "ports"]
    list_select_related = ["started_by", "job"]
    date_hierarchy = "submitted_at"
    actions = ["scan_again"]
    fields = [
        "targets", "ports", "started_by", "submitted_at", "state", "error", "started_at", "finished_at", "hosts_total",
        "hosts_up", "open_ports", "findings_new", "findings_resolved", "comparison", "job",
    ]  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Scan]:
        scans: QuerySet[Scan] = Scan.objects.with_state()
        return scans

    def has_scan_permission(self, request: HttpRequest) -> bool:
        """Whoever may scan by API may scan here."""
        return has_role(request.user, ANALYSTS)

    @admin.action(description=gettext_lazy("Scan again"), permissions=["scan"])
    def scan_again(self, request: HttpRequest, scans: QuerySet[Scan]) -> None:
        """Submit the same scans once more, under today's authorisations."""
        submitted = 0
        for scan in scans:
            try:
                submit(SECURITY_SCAN, {"targets": scan.targets, "ports": scan.ports}, by=request.user)
                submitted += 1
            except APIException as problem:
                self.message_user(request, f"{scan}: {problem}", messages.ERROR)
        self.message_user(request, _("Scans submitted: %d.") % submitted, messages.SUCCESS)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state(self, scan: Any) -> str:
        """The job's."""
        return scan.state

    @admin.display(description=gettext_lazy("error"))
    def error(self, scan: Scan) -> str:
        """Why the job failed, if it did."""
        return (scan.job.error if scan.job else "") or "-"

    @admin.display(description=gettext_lazy("started"), ordering="started_at")
    def started_at(self, scan: Any) -> Any:
        """When a worker began."""
        return scan.started_at

    @admin.display(description=gettext_lazy("finished"), ordering="finished_at")
    def finished_at(self, scan: Any) -> Any:
        """When it ended."""
        return scan.finished_at

    @admin.display(description=gettext_lazy("compared with the scan before"))
    def comparison(self, scan: Any) -> str:
        """What is new and gone since the last completed scan of the same targets."""
        earlier = previous_scan(scan)
        if earlier is None:
            return "-"
        try:
            found = compare(scan, earlier)
        except NotComparable as error:
            return str(error)
        link = reverse("admin:security_scan_change", args=[earlier.pk])
        return format_html(
            '<a href="{}">{}</a>: {}{}{}',
            link,
            _("Scan %d") % earlier.pk,
            _("%(new)d new, %(gone)d gone, %(unchanged)d unchanged, %(unchecked)d not checked") % _counts(found),
            _named(_("New"), found.new),
            _named(_("Gone"), found.gone),
        )


def _counts(found: Comparison) -> dict[str, int]:
    return {name: len(getattr(found, name)) for name in ("new", "gone", "unchanged", "unchecked")}


def _named(heading: str, ids: frozenset[int]) -> str:
    """A list with links to the gravest."""
    if not ids:
        return ""
    rows = [
        (reverse("admin:security_finding_change", args=[finding.pk]), finding.get_severity_display(), finding)
        for finding in worst_findings(ids, MOST_NAMED)
    ]
    items = format_html_join("", '<li><a href="{}">{}: {}</a></li>', rows)
    return format_html("<p>{}</p><ul>{}</ul>", heading, items)
