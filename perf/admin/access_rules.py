"""Access rules in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from perf.admin.blocked_clients import initial_rule
from perf.admin.lists import PolicyListMixin, WithWarningsFilter
from perf.admin.lockout import GuardedForm, GuardedPolicyAdmin
from perf.models import AccessRule


class UserSelect(AutocompleteSelect):
    """Django's, which fails when a form is shown again with what cannot be the key of a user: it asks the database."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        """Those of ``value`` that may exist."""
        return super().optgroups(name, [key for key in value if self._may_exist(key)], attr)

    def _may_exist(self, key: str) -> bool:
        primary_key = self.field.remote_field.model._meta.pk
        try:
            primary_key.run_validators(primary_key.to_python(key))
        except forms.ValidationError:
            return False
        return True


class AccessRuleForm(GuardedForm):
    """One of network, user and role; a role that no longer exists stays visible."""

    class Meta:
        model = AccessRule
        fields = "__all__"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "role" in self.fields:
            names = {*Group.objects.values_list("name", flat=True), self.instance.role} - {""}
            choices = [("", "---------"), *((name, name) for name in sorted(names))]
            self.fields["role"] = forms.ChoiceField(choices=choices, required=False, label=_("Role"))


@admin.register(AccessRule)
class AccessRuleAdmin(PolicyListMixin, GuardedPolicyAdmin):
    form = AccessRuleForm
    list_display = ["name", "effect", "subject", "reason", "expiry", "warnings", "enabled"]
    list_editable = ["enabled"]
    list_filter = ["enabled", WithWarningsFilter, "effect"]
    search_fields = ["name", "network", "role", f"user__{get_user_model().USERNAME_FIELD}", "reason", "comment"]
    list_select_related = ["user"]
    autocomplete_fields = ["user"]
    fieldsets = [
        (None, {"fields": ["name", "enabled", "effect"]}),
        ("Whom (exactly one)", {"fields": ["network", "user", "role"]}),
        ("Why and how long", {"fields": ["reason", "expires_at"]}),
        ("Notes", {"fields": ["comment", "change_reason"]}),
    ]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A field that also a wrong user is shown in again."""
        if db_field.name == "user":
            options["widget"] = UserSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """About a client, where the button "Block" on the live page led here."""
        return {**super().get_changeform_initial_data(request), **initial_rule(request)}

    @admin.display(description="whom")
    def subject(self, rule: AccessRule) -> str:
        """The network, user or role."""
        return rule.network or (_("role %s") % rule.role if rule.role else _("user %s") % rule.user)

    @admin.display(description="expires")
    def expiry(self, rule: AccessRule) -> str:
        """When the rule ends by itself."""
        if rule.expires_at is None:
            return _("never")
        return _("expired") if rule.expires_at <= timezone.now() else rule.expires_at.isoformat(" ", "minutes")
