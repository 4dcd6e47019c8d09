"""The lists of policies: counts of the last hour, warnings, and order. Part of each policy page, put before its base.

Order is that of decisions: by position, then age. Moving changes as few positions as it can.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.forms import BaseModelFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from perf.admin.concurrency import lock
from perf.admin.list_facts import ListFacts, facts_of, shadow_warnings_of
from perf.admin.publishing import PublishingAdmin
from perf.models import Policy
from perf.policies.revisions import attributed_to

MOVE_BUTTON = "_move"  # its value is "up:<primary key>" or "down:<primary key>"
MAX_POSITION = 2**31 - 1
UNKNOWN = "–"


class WithWarningsFilter(SimpleListFilter):
    """Policies that do nothing, and the others."""

    title = gettext_lazy("warnings")
    parameter_name = "warnings"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, Any]]:
        return [("yes", _("With warnings")), ("no", _("Without"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        warned = list(facts_of(request, queryset.model).warnings)
        return queryset.filter(pk__in=warned) if self.value() == "yes" else queryset.exclude(pk__in=warned)


class _NamedFieldsFormSet(BaseModelFormSet):
    """The fields in the list; none has a label to be seen, so each says of which policy it is."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            if not field.widget.is_hidden:
                field.widget.attrs["aria-label"] = _("%(field)s of %(policy)s") % {
                    "field": field.label,
                    "policy": form.instance.name,
                }


class PolicyListMixin(PublishingAdmin):
    """Columns ``last_hour``, ``warnings`` and, of an `OrderedListMixin`, ``order``."""

    is_policy_list = True  # for the template: these lists have a style sheet and a script

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        facts = facts_of(request, self.model)
        may_move = self._may_move(request)
        for policy in found.result_list:
            policy.list_facts, policy.may_be_moved = facts, may_move
        return found

    def get_changelist_formset(self, request: HttpRequest, **options: Any) -> Any:
        formset = super().get_changelist_formset(request, **options)
        return type(formset.__name__, (_NamedFieldsFormSet, formset), {})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not form.prefix:  # the list shows its own
            for warning in shadow_warnings_of(obj):
                self.message_user(request, format_html(_("Saved. {}"), warning), messages.WARNING)

    @admin.display(description=gettext_lazy("warnings"), empty_value="")
    def warnings(self, policy: Any) -> str:
        """What is in the way of the policy, in words and with links."""
        found = _facts(policy).warnings.get(policy.pk, [])
        if not found:
            return ""
        items = format_html_join("", "<li>{}</li>", ((warning,) for warning in found))
        return format_html('<ul class="policy-warnings">{}</ul>', items)

    def _may_move(self, request: HttpRequest) -> bool:
        return False


class OrderedListMixin(PolicyListMixin):
    """Policies with a position can be moved: by buttons in each row, several at once by actions."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "POST" and MOVE_BUTTON in request.POST:
            return self._button_pressed(request)
        return super().changelist_view(request, extra_context)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)
        return [column for column in columns if column != "order" or self.has_publish_permission(request)]

    @admin.display(description=gettext_lazy("order"))
    def order(self, policy: Any) -> str:
        """Two buttons of the list's form."""
        if not policy.may_be_moved:
            return UNKNOWN
        return format_html(
            '<span class="policy-order" id="policy-{0}">'
            '<button type="submit" class="button" name="{1}" value="up:{0}" aria-label="{2}" title="{2}">↑</button> '
            '<button type="submit" class="button" name="{1}" value="down:{0}" aria-label="{3}" title="{3}">↓</button>'
            "</span>",
            policy.pk,
            MOVE_BUTTON,
            _("Move %s up") % policy.name,
            _("Move %s down") % policy.name,
        )

    @admin.action(description=gettext_lazy("Move selected up"), permissions=["publish"])
    def move_up(self, request: HttpRequest, policies: QuerySet[Any]) -> None:
        """Each before the one that the list shows above it."""
        self._move(request, set(policies.values_list("pk", flat=True)), up=True)

    @admin.action(description=gettext_lazy("Move selected down"), permissions=["publish"])
    def move_down(self, request: HttpRequest, policies: QuerySet[Any]) -> None:
        """Each behind the one that the list shows below it."""
        self._move(request, set(policies.values_list("pk", flat=True)), up=False)

    def _may_move(self, request: HttpRequest) -> bool:
        """Not in another order than that of decisions: up and down would mean something else."""
        return self.has_publish_permission(request) and not request.GET.get("o")

    def _button_pressed(self, request: HttpRequest) -> HttpResponse:
        if not self.has_publish_permission(request):
            raise PermissionDenied
        direction, _colon, text = request.POST[MOVE_BUTTON].partition(":")
        key = int(text) if text.isdecimal() and len(text) < 20 else None
        policy = self.model._default_manager.filter(pk=key).first()
        if policy is None or direction not in ("up", "down"):
            self.message_user(request, _("There is no such policy any more."), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        words = _("Move %s up") if direction == "up" else _("Move %s down")
        try:
            with attributed_to(request.user, words % policy), transaction.atomic():
                lock(request, self.model)
                self._move(request, {policy.pk}, up=direction == "up")
        except IncorrectLookupParameters:  # the address names a filter or page that there is not
            return HttpResponseRedirect(request.path)
        return HttpResponseRedirect(f"{request.get_full_path()}#policy-{policy.pk}")

    def _move(self, request: HttpRequest, chosen: Collection[Any], up: bool) -> None:
        by_key = {policy.pk: policy for policy in self.model._default_manager.order_by("position", "id")}
        visible = self.get_changelist_instance(request).queryset.order_by("position", "id")
        order = moved(list(by_key), list(visible.values_list("pk", flat=True)), chosen, up)
        before = {key: policy.position for key, policy in by_key.items()}
        after = renumbered(order, before)
        changed = [by_key[key] for key in order if after[key] != before[key]]
        for policy in changed:
            policy.position = after[policy.pk]
        if refused := self._why_not_moved(request, changed):
            for reason in refused:
                self.message_user(request, reason, messages.ERROR)
            return
        for policy in changed:
            self.model._default_manager.filter(pk=policy.pk).update(position=policy.position)
            self.log_change(request, policy, [{"changed": {"fields": ["position"]}}])
        if changed:
            words = ngettext("Moved; %d position is another.", "Moved; %d positions are others.", len(changed))
            self.message_user(request, words % len(changed), messages.SUCCESS)
        else:
            self.message_user(request, _("Nothing moved: there is no policy to pass."), messages.INFO)

    def _why_not_moved(self, request: HttpRequest, changed: Sequence[Policy]) -> list[str]:
        """Reasons to refuse a new order; ``changed`` are the policies with their new positions."""
        return []


def side_by_side(*counts: str) -> str:
    """``3 hits · 1 misses``; a line ends between counts, not within."""
    *others, last = counts
    words = (*(f"{count} ·" for count in others), last)
    return format_html_join(" ", '<span class="policy-count">{}</span>', ((each,) for each in words))


def moved(order: Sequence[Any], visible: Sequence[Any], chosen: Collection[Any], up: bool) -> list[Any]:
    """``order`` with each of ``chosen`` moved past its neighbour among ``visible``, which is part of it in its order.

    Chosen ones that are neighbours stay together; those at the end stay there.
    """
    result, shown = list(order), list(visible)
    if not up:
        result.reverse()
        shown.reverse()
    for place in range(1, len(shown)):
        key, neighbour = shown[place], shown[place - 1]
        if key in chosen and neighbour not in chosen:
            shown[place - 1], shown[place] = key, neighbour
            result.remove(key)
            result.insert(result.index(neighbour), key)
    return result if up else result[::-1]


def renumbered(order: Sequence[int], positions: dict[int, int]) -> dict[int, int]:
    """Positions that put the keys in ``order``; those in use so far, and further ones where several are the same.

    Of policies at the same position the one with the lower key comes first.
    """
    found: dict[int, int] = {}
    last = (-1, -1)
    for key, position in zip(order, sorted(positions.values()), strict=True):
        if (position, key) <= last:
            position = last[0] if key > last[1] else last[0] + 1
        found[key] = position
        last = (position, key)
    if last[0] > MAX_POSITION:
        return {key: 10 * place for place, key in enumerate(order, 1)}
    return found


def _facts(policy: Any) -> ListFacts:
    facts: ListFacts = policy.list_facts
    return facts
