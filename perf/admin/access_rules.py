"""Access rules in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from perf.admin.blocked_clients import initial_rule
from perf.admin.lists import PolicyListMixin, WithWarningsFilter
from perf.admin.lockout import GuardedForm, GuardedPolicyAdmin
from perf.models import AccessRule


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
