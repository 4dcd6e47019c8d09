"""What the admin pages of all policies share: attribution, warnings, enabling, duplicating."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from perf.admin import preview
from perf.admin.concurrency import LIST_FIELD, VERSION, VersionedForm, VersionedFormSet, lock, version_of
from perf.admin.effect import effect_of
from perf.admin.fields import PeriodField, RolesField
from perf.admin.publishing import PublishingAdmin
from perf.admin.view_patterns import is_on_any_view
from perf.models import CachePolicy, Policy, RateLimitPolicy
from perf.policies.revisions import attributed_to, head_number

REASON_LENGTH = 500


class PolicyForm(VersionedForm, forms.ModelForm):
    """A policy's form, with the reason that the revision will carry, and the version that the page shows."""

    change_reason = forms.CharField(
        label=_("Reason for this change"),
        required=False,
        max_length=REASON_LENGTH,
        help_text=_("Kept with the revision."),
    )
    version = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.current = version_of(self.instance) if self.instance.pk else ""
        self.initial[VERSION] = self.current
        for name, field in self.fields.items():
            if isinstance(field, RolesField):
                field.keep(getattr(self.instance, name) or [])
            elif isinstance(field, PeriodField):
                field.keep(getattr(self.instance, name))

    def clean(self) -> dict[str, Any]:
        """Refused where the policy is no longer the one that was shown."""
        values: dict[str, Any] = super().clean() or {}
        if not preview.is_button_in(self.data):
            self.check_version(self.current)
        return values


class PolicyAdmin(PublishingAdmin):
    """Base of the policy pages."""

    save_on_top = True
    actions = ["enable", "disable", "duplicate"]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if preview.is_asked_for(request) and (edited := self._edited(request, object_id)) is not None:
            return preview.preview_response(self, request, edited)
        context = {**(extra_context or {}), "may_preview": self._may_be_previewed, "preview_button": preview.BUTTON}
        context["effect"] = effect_of(self.model, object_id)
        with self._attributed(request):
            return super().changeform_view(request, object_id, form_url, context)

    @property
    def _may_be_previewed(self) -> bool:
        return issubclass(self.model, CachePolicy | RateLimitPolicy)

    def _edited(self, request: HttpRequest, object_id: str | None) -> Any:
        """The policy as it stands in the form, unsaved; None where the form has errors, which it then shows."""
        known = self.get_object(request, object_id) if object_id else None
        may = self.has_change_permission(request, known) if known else self.has_add_permission(request)
        if not self._may_be_previewed or not may or (object_id and known is None):
            return None
        form = self.get_form(request, known, change=known is not None)(request.POST, request.FILES, instance=known)
        return form.save(commit=False) if form.is_valid() else None

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The policy; nobody else's while it is saved."""
        if object_id.isdecimal():
            lock(request, self.model, int(object_id))
        return super().get_object(request, object_id, from_field)

    def get_changelist_formset(self, request: HttpRequest, **options: Any) -> Any:
        formset = super().get_changelist_formset(request, **options)
        return type(formset.__name__, (VersionedFormSet, formset), {"request": request})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        shown = {"revision_field": LIST_FIELD, "revision_shown": request.POST.get(LIST_FIELD) or head_number()}
        with self._attributed(request), transaction.atomic():
            lock(request, self.model)
            return super().changelist_view(request, {**(extra_context or {}), **shown})

    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        with self._attributed(request):
            return super().delete_view(request, *args, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change and not set(form.changed_data) - {"change_reason", VERSION}:
            return  # a save that changes nothing is no revision
        super().save_model(request, obj, form, change)
        route = getattr(obj, "route", "*")
        if not is_on_any_view(route):
            self.message_user(
                request,
                _("Saved, but no view of this server is on the route %s: the policy matches nothing.") % route,
                messages.WARNING,
            )

    @admin.action(description=_("Enable selected"), permissions=["publish"])
    def enable(self, request: HttpRequest, policies: QuerySet[Policy]) -> None:
        """Switch on."""
        self._set_enabled(request, policies, True)

    @admin.action(description=_("Disable selected"), permissions=["publish"])
    def disable(self, request: HttpRequest, policies: QuerySet[Policy]) -> None:
        """Switch off."""
        self._set_enabled(request, policies, False)

    @admin.action(description=_("Duplicate selected, disabled"), permissions=["add"])
    def duplicate(self, request: HttpRequest, policies: QuerySet[Policy]) -> None:
        """Copies to work on; disabled until they are ready."""
        for policy in policies:
            copy = self.model.objects.get(pk=policy.pk)
            copy.pk = None
            copy._state.adding = True
            copy.name = self._free_name(policy.name)
            copy.enabled = False
            copy.save()
            self.log_addition(request, copy, [{"added": {}}])
        self.message_user(request, _("Copied; the copies are disabled."), messages.SUCCESS)

    def _set_enabled(self, request: HttpRequest, policies: QuerySet[Policy], enabled: bool) -> None:
        changed = list(policies.exclude(enabled=enabled))
        if changed:
            policies.update(enabled=enabled)
        for policy in changed:
            self.log_change(request, policy, [{"changed": {"fields": ["enabled"]}}])
        self.message_user(request, _("Changed: %d.") % len(changed), messages.SUCCESS)

    def _free_name(self, name: str) -> str:
        number = 2
        while self.model.objects.filter(name=f"{name[:58]}-{number}").exists():
            number += 1
        return f"{name[:58]}-{number}"

    @contextmanager
    def _attributed(self, request: HttpRequest) -> Iterator[None]:
        reason = request.POST.get("change_reason", "") or request.POST.get("action", "")
        with attributed_to(request.user, reason):
            yield
