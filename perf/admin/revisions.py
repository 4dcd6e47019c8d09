"""Revisions in the admin: who changed what and why, and the way back."""

from __future__ import annotations

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
from perf.models import Revision
from perf.policies.revisions import FieldChange, attributed_to, bring_back, difference
from perf.policies.transfer import in_words


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
        revision = get_object_or_404(Revision, pk=object_id)
        if not self.has_view_permission(request, revision):
            raise PermissionDenied
        newest = Revision.objects.first()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revision %d") % revision.number,
            "opts": self.opts,
            "revision": revision,
            "changes": changes_of(revision),
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
            try:
                with attributed_to(request.user, _("Brought back revision %d") % number):
                    new = bring_back(revision)
            except ValueError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                words = _("The policies are those of revision %(old)d again, as revision %(new)d.")
                self.message_user(request, words % {"old": number, "new": new}, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:perf_revision_changelist"))
        return HttpResponseRedirect(reverse("admin:perf_revision_change", args=[number]))

    def _may_bring_back(self, request: HttpRequest) -> bool:
        return request.user.has_perm("perf.bring_back_revision")


def changes_of(revision: Revision) -> list[FieldChange]:
    """What ``revision`` changed."""
    before = Revision.objects.filter(number__lt=revision.number).first()
    return difference(before.policies if before else None, revision.policies)
