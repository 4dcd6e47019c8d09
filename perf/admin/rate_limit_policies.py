"""Rate-limit policies in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from perf.admin.fields import ListChoiceField, PeriodField, RolesField, in_words
from perf.admin.lists import UNKNOWN, OrderedListMixin, WithWarningsFilter, side_by_side
from perf.admin.lockout import GuardedForm, GuardedPolicyAdmin, refusals_of
from perf.models import Policy, RateLimitPolicy
from perf.validators import HTTP_METHODS

_COUNTED = {
    "user_or_ip": gettext_lazy("user or address"),
    "user": gettext_lazy("user"),
    "ip": gettext_lazy("address"),
    "role": gettext_lazy("set of roles"),
    "everyone": gettext_lazy("everyone together"),
}


class RateLimitPolicyForm(GuardedForm):
    """Methods and roles as check boxes, the period in words."""

    methods = ListChoiceField(
        choices=[(method, method) for method in HTTP_METHODS],
        required=False,
        help_text=RateLimitPolicy._meta.get_field("methods").help_text,
    )
    roles = RolesField(required=False, help_text=RateLimitPolicy._meta.get_field("roles").help_text)
    period = PeriodField(initial=60)

    class Meta:
        model = RateLimitPolicy
        fields = "__all__"


@admin.register(RateLimitPolicy)
class RateLimitPolicyAdmin(OrderedListMixin, GuardedPolicyAdmin):
    form = RateLimitPolicyForm
    list_display = [
        *("name", "in_words", "concerns", "scope", "mode", "last_hour", "warnings", "position", "order", "enabled"),
    ]
    list_editable = ["position", "enabled"]
    list_filter = ["enabled", WithWarningsFilter, "mode", "scope", "algorithm", "count_by"]
    search_fields = ["name", "route", "scope", "comment"]
    ordering = ["position", "id"]
    actions = ["enable", "disable", "duplicate", "enforce", "observe", "move_up", "move_down"]
    fieldsets = [
        (None, {"fields": ["name", "enabled", "mode", "scope", "position"]}),
        ("Which requests", {"fields": ["route", "methods", "roles"]}),
        ("How many", {"fields": ["limit", "period", "count_by", "algorithm", "burst", "cost", "penalty"]}),
        ("When Redis fails", {"fields": ["on_store_error"]}),
        ("Notes", {"fields": ["comment", "change_reason"]}),
    ]

    @admin.display(description="limit")
    def in_words(self, policy: RateLimitPolicy) -> str:
        """``100 / minute per user or address``."""
        words = f"{policy.limit} / {in_words(policy.period)} " + _("per %s") % _COUNTED[policy.count_by]
        if policy.burst:
            words += _(", bursts of %d") % policy.burst
        if policy.cost != 1:
            words += _(", a request costs %d") % policy.cost
        return words

    @admin.display(description="requests")
    def concerns(self, policy: RateLimitPolicy) -> str:
        """``POST /api/security/scans (viewer)``."""
        methods = ", ".join(policy.methods)
        roles = f"({', '.join(policy.roles)})" if policy.roles else ""
        return " ".join(part for part in (methods, policy.route, roles) if part)

    @admin.display(description=gettext_lazy("last hour"))
    def last_hour(self, policy: Any) -> str:
        """``1200 allowed · 34 blocked · 0 observed``: what it decided of requests."""
        if policy.list_facts.events is None:
            return UNKNOWN
        events = policy.list_facts.events.get(str(policy.pk), {})
        return side_by_side(
            _("%d allowed") % events.get("allowed", 0),
            _("%d blocked") % events.get("blocked", 0),
            _("%d observed") % events.get("observed", 0),
        )

    @admin.action(description=gettext_lazy("Enforce selected"), permissions=["publish"])
    def enforce(self, request: HttpRequest, policies: QuerySet[RateLimitPolicy]) -> None:
        """Block for real."""
        self._set_mode(request, policies, RateLimitPolicy.Mode.ENFORCE)

    @admin.action(description=gettext_lazy("Only observe selected"), permissions=["publish"])
    def observe(self, request: HttpRequest, policies: QuerySet[RateLimitPolicy]) -> None:
        """Count what would be blocked."""
        self._set_mode(request, policies, RateLimitPolicy.Mode.OBSERVE)

    def _why_not_moved(self, request: HttpRequest, changed: Sequence[Policy]) -> list[str]:
        return [refusal.message for refusal in refusals_of(request, changed)]

    def _set_mode(self, request: HttpRequest, policies: QuerySet[RateLimitPolicy], mode: RateLimitPolicy.Mode) -> None:
        if self._is_refused(request, policies, mode=mode):
            return
        changed = list(policies.exclude(mode=mode))
        policies.update(mode=mode)
        for policy in changed:
            self.log_change(request, policy, [{"changed": {"fields": ["mode"]}}])
        self.message_user(request, _("Changed: %d.") % len(changed))
