"""Revisions in the admin: who changed what and why, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from perf.admin import transfer
from perf.admin.concurrency import digest_of
from perf.admin.lockout import refusals
from perf.admin.log import log_difference
from perf.models import Policy, Revision
from perf.policies.revisions import (
    FieldChange,
    attributed_to,
    bring_back,
    current_policies,
    difference,
    head_number,
    policies_of,
)
from perf.policies.transfer import in_words, policies_held


@admin.register(Revision)
class RevisionAdmin(admin.ModelAdmin):
    list_display = ["number", "created_at", "author", "reason", "changes_in_words"]
    list_display_links = ["number"]
    list_select_related = ["author"]
    search_fields = ["number", "author__username", "reason"]
    date_hierarchy = "created_at"
    list_per_page = 25

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Revisions come from changes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The past is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor deleted."""
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:number>/bring-back/", view(self.bring_back_view), name="perf_revision_bring_back"),
            path("export/", view(partial(transfer.export_view, self)), name="perf_revision_export"),
            path("import/", view(partial(transfer.import_view, self)), name="perf_revision_import"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with the ways in and out."""
        may = {
            "may_export": transfer.may_export(self, request),
            "may_import": transfer.may_import(request),
        }
        return super().changelist_view(request, {**(extra_context or {}), **may})

    @admin.display(description="changes")
    def changes_in_words(self, revision: Revision) -> str:
        """The first few differences from the revision before."""
        changes = changes_of(revision)
        words = "; ".join(in_words(change) for change in changes[:3])
        return words + (_("; and %d more") % (len(changes) - 3) if len(changes) > 3 else "")

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **options: Any) -> HttpResponse:
        """One revision: its differences from the one before, and from now."""
        revision = get_object_or_404(Revision, pk=int(object_id) if object_id.isdecimal() else -1)
        if not self.has_view_permission(request, revision):
            raise PermissionDenied
        newest = Revision.objects.first()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revision %d") % revision.number,
            "opts": self.opts,
            "revision": revision,
            "changes": changes_of(revision),
            "newest": newest,
            "is_newest": newest is not None and newest.pk == revision.pk,
            "back": difference(newest.policies if newest else None, revision.policies),
            "may_bring_back": self._may_bring_back(request),
        }
        return TemplateResponse(request, "admin/perf/revision.html", context)

    def bring_back_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """POST: make the policies those of this revision again."""
        if not self._may_bring_back(request):
            raise PermissionDenied
        revision = get_object_or_404(Revision, pk=number)
        if request.method == "POST":
            problems = self._bring_back(request, revision)
            for problem in problems:
                self.message_user(request, problem, messages.ERROR)
            if not problems:
                words = _("The policies are those of revision %(old)d again, as revision %(new)d.")
                self.message_user(request, words % {"old": number, "new": head_number()}, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:perf_revision_changelist"))
        return HttpResponseRedirect(reverse("admin:perf_revision_change", args=[number]))

    def _bring_back(self, request: HttpRequest, revision: Revision) -> list[str]:
        """Bring ``revision`` back, or say why not."""
        reason = _("Brought back revision %d") % revision.number
        shown = request.POST.get("newest", "")
        with attributed_to(request.user, reason), policies_held() as newest:
            if shown and shown != str(newest):
                return [_("Policies were changed meanwhile, and nothing was done. This is what it would change now.")]
            try:
                rows = policies_of(revision)
            except ValueError as error:
                return [str(error)]
            if found := refusals(request, rows, changed_rows(rows)):
                return [refusal.message for refusal in found]
            before = current_policies()
            bring_back(revision)
            log_difference(request, before, current_policies(), reason)
        return []

    def _may_bring_back(self, request: HttpRequest) -> bool:
        return request.user.has_perm("perf.bring_back_revision")


def changes_of(revision: Revision) -> list[FieldChange]:
    """What ``revision`` changed."""
    before = Revision.objects.filter(number__lt=revision.number).first()
    return difference(before.policies if before else None, revision.policies)


def changed_rows(rows: Mapping[type[Policy], Sequence[Any]]) -> list[Policy]:
    """Those that are new, or not as the database has them."""
    known = {(model, policy.pk): digest_of(policy) for model in rows for policy in model.objects.all()}
    return [
        policy
        for model, policies in rows.items()
        for policy in policies
        if known.get((model, policy.pk)) != digest_of(policy)
    ]
