"""What a list of policies shows beside the rows: the last hour's counts, and warnings. Asked for once per page.

A warning is a proof: a policy without one may still be useless, but one with a warning is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from django.contrib.auth.models import Group
from django.db.models import Count, Model, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from perf.admin.view_patterns import is_on_any_view, is_view_name, known_views
from perf.conf import setting
from perf.gate.store import StoreUnavailable
from perf.jobs.registry import job_type_names
from perf.metrics.read import read_statistics
from perf.models import CachePolicy, Job, JobPolicy, RateLimitPolicy
from perf.policies.compile import cache_rule, limit_rule
from perf.policies.routes import SCOPE_ROUTE, InvalidRoute
from perf.policies.shadows import Shadowed, shadowed_caches, shadowed_limits
from perf.policies.snapshot import CacheRule, LimitRule

log = logging.getLogger(__name__)

RuleT = TypeVar("RuleT", CacheRule, LimitRule)
Warnings = dict[Any, list[SafeString]]

_KINDS: dict[type[Model], str] = {RateLimitPolicy: "limit", CachePolicy: "cache"}  # as the statistics call them
_MOST_NAMES = 3


class ListFacts:
    """The facts for one list of policies; each is read when it is first asked for."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    @cached_property
    def events(self) -> dict[str, Counter[str]] | None:
        """By primary key as text, what was counted in the last hour; None where Redis does not say."""
        try:
            return read_statistics("1h").by_name(_KINDS[self.model])
        except StoreUnavailable as error:
            log.info("A list of policies is shown without counts: %s", error)
            return None

    @cached_property
    def jobs(self) -> dict[str, dict[str, int]]:
        """By job type: those that wait and run now, and those that completed or failed in the last hour."""
        ended = Q(finished_at__gte=timezone.now() - timedelta(hours=1))
        counted = {
            "waiting": Q(status=Job.Status.SUBMITTED),
            "running": Q(status=Job.Status.PROCESSING),
            "completed": Q(status=Job.Status.COMPLETED) & ended,
            "failed": Q(status=Job.Status.FAILED) & ended,
        }
        rows: Any = (
            Job.objects.filter(Q(status__in=Job.ACTIVE) | ended)
            .order_by()
            .values("type")
            .annotate(**{name: Count("pk", filter=those) for name, those in counted.items()})
        )
        by_type = {row["type"]: Counter({name: row[name] for name in counted}) for row in rows}
        total: Counter[str] = sum(by_type.values(), Counter())
        return {**by_type, JobPolicy.ALL_TYPES: total}

    @cached_property
    def warnings(self) -> Warnings:
        """By primary key, why an enabled policy does nothing."""
        return warnings_of(self.model)


def facts_of(request: HttpRequest, model: type[Model]) -> ListFacts:
    """The facts for the list of ``model``; the same ones throughout a request."""
    known: dict[type[Model], ListFacts] = request.__dict__.setdefault("_policy_list_facts", {})
    return known.setdefault(model, ListFacts(model))


def warnings_of(model: type[Model]) -> Warnings:
    """By primary key, why the enabled policies of ``model`` do nothing, as they are in the database now."""
    found: Warnings = {}
    policies: list[Any] = list(model._default_manager.filter(enabled=True))
    match model.__name__:
        case "RateLimitPolicy":
            _warn_of_routes(found, policies, limit_rule, shadowed_limits)
            _warn_of_roles(found, [(policy, policy.roles) for policy in policies])
        case "CachePolicy":
            _warn_of_routes(found, policies, cache_rule, shadowed_caches)
        case "AccessRule":
            for rule in policies:
                if rule.expires_at is not None and rule.expires_at <= timezone.now():
                    _add(found, rule, _("Expired:"), _("it does nothing any more."))
            _warn_of_roles(found, [(rule, [rule.role] if rule.role else []) for rule in policies])
        case "JobPolicy":
            types = {JobPolicy.ALL_TYPES, *job_type_names()}
            for policy in policies:
                if policy.name not in types:
                    _add(found, policy, _("Never matches:"), _("this server has no such job type."))
            _warn_of_roles(found, [(policy, policy.roles) for policy in policies])
    return found


def shadow_warnings_of(policy: Any) -> list[SafeString]:
    """Why ``policy``, as it was saved, never decides."""
    if not policy.enabled or not isinstance(policy, CachePolicy | RateLimitPolicy):
        return []
    compiled: Any = limit_rule if isinstance(policy, RateLimitPolicy) else cache_rule
    find: Any = shadowed_limits if isinstance(policy, RateLimitPolicy) else shadowed_caches
    found: Warnings = {}
    _warn_of_shadows(found, type(policy)._default_manager.filter(enabled=True), compiled, find)
    return found.get(policy.pk, [])


def _warn_of_routes(
    found: Warnings,
    policies: Sequence[Any],
    compiled: Callable[[Any], RuleT],
    find: Callable[..., list[Shadowed[RuleT]]],
) -> None:
    readable = _warn_of_shadows(found, policies, compiled, find)
    for policy in readable:
        is_on_view = is_on_any_view(policy.route)
        if is_on_view and isinstance(policy, CachePolicy) and policy.route.startswith(SCOPE_ROUTE):
            is_on_view = is_view_name(policy.route)  # throttle scopes are for limits
        if not is_on_view:
            _add(found, policy, _("Never matches:"), _("no view of this server is on its route."))


def _warn_of_shadows(
    found: Warnings,
    policies: Iterable[Any],
    compiled: Callable[[Any], RuleT],
    find: Callable[..., list[Shadowed[RuleT]]],
) -> list[Any]:
    """Returns the policies whose routes can be read."""
    readable, rules = [], []
    for policy in policies:
        try:
            rules.append(compiled(policy))
        except InvalidRoute as error:
            _add(found, policy, _("No route:"), str(error))
        else:
            readable.append(policy)
    by_key = {policy.pk: policy for policy in readable}
    for each in find(rules, known_views()):
        policies_before = [by_key[rule.id] for rule in each.by]
        _add(found, by_key[each.rule.id], _("Shadowed:"), _shadowed_in_words(policies_before))
    return readable


def _shadowed_in_words(earlier: Sequence[Any]) -> SafeString:
    links = format_html_join(
        ", ", '<a href="{}">{}</a>', ((_change_url(each), each.name) for each in earlier[:_MOST_NAMES])
    )
    if len(earlier) > _MOST_NAMES:
        links = format_html(_("{} and {} more"), links, len(earlier) - _MOST_NAMES)
    words = format_html(
        ngettext(
            "{} comes first and decides all requests on its route.",
            "{} come first and decide all requests on its route.",
            len(earlier),
        ),
        links,
    )
    if all(getattr(each, "mode", "") == RateLimitPolicy.Mode.OBSERVE for each in earlier):
        words = format_html("{} {}", words, _("That only observes, so nothing is limited here."))
    return words


def _warn_of_roles(found: Warnings, policies: Iterable[tuple[Any, list[str]]]) -> None:
    if setting("ROLES"):
        return  # then roles need not be groups, and nobody knows all of them
    known = set(Group.objects.values_list("name", flat=True))
    for policy, roles in policies:
        if roles and not known.intersection(roles):
            _add(found, policy, _("No such role:"), ", ".join(roles))


def _add(found: Warnings, policy: Any, what: str, why: str) -> None:
    found.setdefault(policy.pk, []).append(format_html("<strong>{}</strong> {}", what, why))


def _change_url(policy: Any) -> str:
    return reverse(f"admin:perf_{policy._meta.model_name}_change", args=[policy.pk])
