"""Cache policies in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from perf.admin.base import PolicyAdmin, PolicyForm
from perf.admin.fields import CommaSeparatedField, ListChoiceField, for_how_long
from perf.admin.lists import UNKNOWN, OrderedListMixin, WithWarningsFilter, side_by_side
from perf.caching import invalidate
from perf.models import CachePolicy

# As the statistics call what the cache had for a request.
_HITS = ("hit", "stale")
_MISSES = ("miss", "refresh", "wait", "unstorable")


class CachePolicyForm(PolicyForm):
    """Lists are written with commas."""

    methods = ListChoiceField(choices=[("GET", "GET"), ("HEAD", "HEAD")], initial=["GET", "HEAD"])
    vary_on_headers = CommaSeparatedField(
        required=False, help_text=CachePolicy._meta.get_field("vary_on_headers").help_text
    )
    ignore_params = CommaSeparatedField(
        required=False, help_text=CachePolicy._meta.get_field("ignore_params").help_text
    )
    tags = CommaSeparatedField(required=False, help_text=CachePolicy._meta.get_field("tags").help_text)

    class Meta:
        model = CachePolicy
        fields = "__all__"


@admin.register(CachePolicy)
class CachePolicyAdmin(OrderedListMixin, PolicyAdmin):
    form = CachePolicyForm
    list_display = ["name", "in_words", "route", "last_hour", "warnings", "position", "order", "enabled"]
    list_editable = ["position", "enabled"]
    list_filter = ["enabled", WithWarningsFilter, "shared_by", "honour_origin_headers"]
    search_fields = ["name", "route", "comment"]
    ordering = ["position", "id"]
    actions = ["enable", "disable", "duplicate", "move_up", "move_down", "drop_entries"]
    fieldsets = [
        (None, {"fields": ["name", "enabled", "position", "route", "methods"]}),
        (
            "Freshness",
            {
                "fields": [
                    "ttl",
                    "ttl_jitter",
                    "stale_while_revalidate",
                    "stale_if_error",
                    "negative_ttl",
                    "honour_origin_headers",
                ]
            },
        ),
        ("Whose responses", {"fields": ["shared_by", "vary_on_headers", "ignore_params"]}),
        ("Storage", {"fields": ["max_body_bytes", "tags"]}),
        ("Notes", {"fields": ["comment", "change_reason"]}),
    ]

    @admin.action(description=_lazy("Drop the cached responses of selected"), permissions=["change"])
    def drop_entries(self, request: HttpRequest, policies: QuerySet[CachePolicy]) -> None:
        """Make what is cached under these policies void, in every process at once."""
        names = sorted(policies.values_list("name", flat=True))
        invalidate(policies=names)
        for policy in policies:
            self.log_change(request, policy, _("Dropped its cached responses."))
        self.message_user(request, _("Dropped the cached responses of %s.") % ", ".join(names))

    @admin.display(description=_lazy("last hour"))
    def last_hour(self, policy: Any) -> str:
        """``90 hits · 10 misses · 90 %``; old responses that were served are hits."""
        if policy.list_facts.events is None:
            return UNKNOWN
        events = policy.list_facts.events.get(str(policy.pk), {})
        hits, misses = (sum(events.get(state, 0) for state in states) for states in (_HITS, _MISSES))
        rate = [f"{hits / (hits + misses):.0%}"] if hits or misses else []
        return side_by_side(
            ngettext("%d hit", "%d hits", hits) % hits, ngettext("%d miss", "%d misses", misses) % misses, *rate
        )

    @admin.display(description="what it does")
    def in_words(self, policy: CachePolicy) -> str:
        """``fresh for 2 minutes, per role; stale for 2 minutes more``."""
        if policy.ttl == 0:
            return _("caches nothing")
        words = _("fresh for %(time)s, per %(who)s") % {
            "time": for_how_long(policy.ttl),
            "who": policy.get_shared_by_display(),
        }
        if policy.stale_while_revalidate:
            words += _("; stale for %s more") % for_how_long(policy.stale_while_revalidate)
        return words
