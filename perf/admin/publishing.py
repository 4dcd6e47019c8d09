"""Who may put policies in force. Without that permission people prepare: policies that are disabled.

A policy counts as soon as it is enabled. So those who may change policies but not publish them see the enabled ones,
and add, edit and delete disabled ones; a copy of an enabled one is where to begin.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Field
from django.http import HttpRequest
from django.utils.translation import gettext as _

PUBLISH = "perf.publish_revision"


def may_publish(request: HttpRequest) -> bool:
    """Whether what this person saves may count at once."""
    return bool(request.user.has_perm(PUBLISH))


class PublishingAdmin(ModelAdmin):
    """Pages of policies on which only those who may publish change what is in force."""

    may_prepare = True  # False: there are no policies to prepare, a disabled one counts as well

    def has_publish_permission(self, request: HttpRequest) -> bool:
        """For actions that change what is in force; Django's admin asks by this name."""
        return may_publish(request) and self.has_change_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and (self.may_prepare or may_publish(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_open_to(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_open_to(request, obj)

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **options: Any) -> Any:
        """Without the permission, ``enabled`` stays off, whatever is sent."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and db_field.name == "enabled" and not may_publish(request):
            field.initial, field.disabled = False, True
            field.help_text = _("You may prepare policies; somebody who may publish them enables them.")
        return field

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Without the permission nothing is edited in the list: what is in force is in it."""
        found = super().get_changelist_instance(request)
        if not may_publish(request):
            found.list_editable = ()
        return found

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> Any:
        obj = options.get("obj")
        may_change = super().has_change_permission(request, obj)
        if obj is not None and request.method == "GET" and may_change and not self._is_open_to(request, obj):
            words = _("This policy is in force, and you may not publish: duplicate it in the list, and edit the copy.")
            self.message_user(request, words, messages.INFO)
        return super().render_change_form(request, context, *args, **options)

    def _is_open_to(self, request: HttpRequest, policy: Any) -> bool:
        if may_publish(request):
            return True
        return self.may_prepare and (policy is None or not policy.enabled)
