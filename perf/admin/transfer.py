"""Export and import of policies at the list of revisions: a download, and an upload that is shown before it counts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from perf.admin.base import REASON_LENGTH
from perf.admin.lockout import refusals
from perf.admin.log import log_difference
from perf.admin.publishing import PUBLISH
from perf.policies.documents import MAX_BYTES, Document, Format, InvalidDocument, read
from perf.policies.revisions import POLICY_MODELS, attributed_to, current_policies, head_number
from perf.policies.transfer import Plan, carry_out, exported, plan, policies_held

FILE_NAME = "policies.yaml"


class UploadForm(forms.Form):
    """The first step: which document."""

    file = forms.FileField(
        label=gettext_lazy("File"), help_text=gettext_lazy("YAML or JSON, as exported. You see first what it changes.")
    )
    prune = forms.BooleanField(label=gettext_lazy("Delete policies that the file does not name"), required=False)

    def clean(self) -> dict[str, Any]:
        """The file is read into a document."""
        values: dict[str, Any] = super().clean() or {}
        if file := values.get("file"):
            try:
                values["document"] = _uploaded(file)
            except InvalidDocument as error:
                self.add_error("file", list(error.problems))
        return values


class ConfirmForm(forms.Form):
    """The second step: what was shown, and the number of the revision with which it was compared."""

    document = forms.CharField(widget=forms.HiddenInput, strip=False)
    prune = forms.BooleanField(widget=forms.HiddenInput, required=False)
    number = forms.IntegerField(widget=forms.HiddenInput)
    change_reason = forms.CharField(
        label=gettext_lazy("Reason for this change"),
        required=False,
        max_length=REASON_LENGTH,
        help_text=gettext_lazy("Kept with the revision."),
    )


def may_export(model_admin: ModelAdmin, request: HttpRequest) -> bool:
    """Whoever sees revisions sees all policies in them."""
    return bool(model_admin.has_view_permission(request))


def may_import(request: HttpRequest) -> bool:
    """An import changes everything at once, as bringing back a revision does."""
    changing = [f"perf.change_{model._meta.model_name}" for model in POLICY_MODELS]
    return bool(request.user.has_perms([PUBLISH, "perf.bring_back_revision", *changing]))


def export_view(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """All policies as a file."""
    if not may_export(model_admin, request):
        raise PermissionDenied
    return HttpResponse(
        exported("yaml"),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )


def import_view(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """GET: the form. POST of a file: what it would change. POST of what was shown: change it."""
    if not may_import(request):
        raise PermissionDenied
    if request.method == "POST" and "document" in request.POST:
        return _confirmed(model_admin, request)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if not form.is_bound or not form.is_valid():
        return _page(model_admin, request, {"upload": form})
    reason = _("Import of %s") % form.cleaned_data["file"].name
    return _shown(model_admin, request, form.cleaned_data["document"], form.cleaned_data["prune"], reason)


def _confirmed(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    form = ConfirmForm(request.POST)
    if not form.is_valid():
        return HttpResponseRedirect(reverse("admin:perf_revision_import"))
    prune, reason = form.cleaned_data["prune"], form.cleaned_data["change_reason"]
    try:
        document = read(form.cleaned_data["document"], "json")
    except InvalidDocument as error:
        return _page(model_admin, request, {"problems": error.problems})
    with attributed_to(request.user, reason), policies_held() as number:
        is_shown = number == form.cleaned_data["number"]
        planned, problems = _planned(request, document, prune) if is_shown else (None, [])
        if planned is not None and not problems:
            before = current_policies()
            carry_out(planned)
            log_difference(request, before, current_policies(), reason or _("Import"))
    if planned is None or problems:
        return _shown(model_admin, request, document, prune, reason, is_outdated=not is_shown)
    _tell(model_admin, request, planned)
    return HttpResponseRedirect(reverse("admin:perf_revision_changelist"))


def _shown(
    model_admin: ModelAdmin,
    request: HttpRequest,
    document: Document,
    prune: bool,
    reason: str,
    is_outdated: bool = False,
) -> HttpResponse:
    number = head_number()  # before the rows: what changes in between makes it outdated
    planned, problems = _planned(request, document, prune)
    shown = {"document": document.text("json", indent=None), "prune": prune, "number": number}
    context = {
        "confirm": ConfirmForm(initial={**shown, "change_reason": reason}),
        "problems": problems,
        "changes": planned.changes if planned else [],
        "is_empty": planned is not None and not planned.changes,
        "is_outdated": is_outdated,
    }
    return _page(model_admin, request, context)


def _planned(request: HttpRequest, document: Document, prune: bool) -> tuple[Plan | None, list[str]]:
    """What an import would do, and why it may not."""
    try:
        planned = plan(document, prune=prune)
    except InvalidDocument as error:
        return None, list(error.problems)
    return planned, [refusal.message for refusal in refusals(request, planned.resulting, planned.changed)]


def _page(model_admin: ModelAdmin, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    about = {
        **model_admin.admin_site.each_context(request),
        "title": _("Import policies"),
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "admin/perf/import.html", {**about, **context})


def _tell(model_admin: ModelAdmin, request: HttpRequest, planned: Plan) -> None:
    count = len(planned.changed) + len(planned.removed)
    words = ngettext("%d policy imported.", "%d policies imported.", count) % count
    model_admin.message_user(request, words if count else _("Nothing to change."), messages.SUCCESS)


def _uploaded(file: Any) -> Document:
    if file.size > MAX_BYTES:
        raise InvalidDocument([_("The document is larger than 1 MiB; so many policies are a mistake.")])
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDocument([_("The document is not in UTF-8: %s") % error]) from error
    fmt: Format = "json" if file.name.endswith(".json") else "yaml"
    # What is shown is what the second step sends back and reads again.
    return read(read(text, fmt).text("json", indent=None), "json")
