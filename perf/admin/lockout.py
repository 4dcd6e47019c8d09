"""The admin refuses a save by which the person who makes it would be locked out, and names what to change.

The decision is `perf.policies.lockout`'s; here are the pages, the person behind a request, the rows before and after.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import get_script_prefix, resolve, reverse
from django.utils.translation import gettext as _

from perf.admin import preview
from perf.admin.base import PolicyAdmin, PolicyForm
from perf.admin.concurrency import VersionedFormSet
from perf.gate.callers import caller_of
from perf.models import AccessRule, Policy, RateLimitPolicy
from perf.policies.compile import limit_rule
from perf.policies.lockout import (
    ENOUGH_PER_MINUTE,
    Page,
    Person,
    Restriction,
    blocking,
    made_worse,
    restrictions,
)
from perf.policies.revisions import POLICY_MODELS
from perf.policies.snapshot import LimitRule

Rows = Mapping[type[Policy], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is not saved; ``policy`` and ``field`` are what to change."""

    policy: str
    field: str
    message: str


def refusals(request: HttpRequest, resulting: Rows, changed: Sequence[Policy]) -> list[Refusal]:
    """Why the person behind ``request`` would be locked out.

    Args:
        resulting: the rows as they would be, at least those of `RateLimitPolicy` and `AccessRule`.
        changed: those of them that are new or edited.
    """
    person, now = _person(request), time.time()
    rules = [policy for policy in changed if isinstance(policy, AccessRule)]
    pages = pages_to_keep()
    before = restrictions(_limits(RateLimitPolicy.objects.all()), AccessRule.objects.all(), person, pages, now)
    after = restrictions(_limits(resulting[RateLimitPolicy]), resulting[AccessRule], person, pages, now)
    return [
        *(_blocked(rule, person) for rule in blocking(rules, person, now)),
        *(_restricted(restriction, person) for restriction in made_worse(before, after)),
    ]


def refusals_of(request: HttpRequest, edited: Sequence[Policy]) -> list[Refusal]:
    """As `refusals`, where nothing but ``edited`` changes."""
    resulting: dict[type[Policy], list[Any]] = {}
    for model in (RateLimitPolicy, AccessRule):
        own = [policy for policy in edited if isinstance(policy, model)]
        known = {policy.pk for policy in own}
        resulting[model] = [*(row for row in model.objects.all() if row.pk not in known), *own]
    return refusals(request, resulting, edited)


def pages_to_keep() -> list[Page]:
    """The admin's index and sign-in page, and the pages of policies and revisions."""
    urls = [reverse(f"admin:{name}") for name in ("index", "login", "perf_revision_changelist")]
    urls.append(reverse("admin:app_list", args=["perf"]))
    for model in POLICY_MODELS:
        name = f"admin:perf_{model._meta.model_name}"
        urls += [reverse(f"{name}_changelist"), reverse(f"{name}_add"), reverse(f"{name}_change", args=[1])]
    # The gate knows paths without the prefix that a server puts before all of them.
    paths = ["/" + url.removeprefix(get_script_prefix()) for url in urls]
    return [Page(path, resolve(path).view_name) for path in paths]


class GuardedForm(PolicyForm):
    """A policy's form that refuses to lock out the person who sends it."""

    request: ClassVar[HttpRequest | None] = None

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors or self.request is None or preview.BUTTON in self.data:
            return
        for refusal in refusals_of(self.request, [self.instance]):
            is_here = refusal.policy == self.instance.name and refusal.field in self.fields
            self.add_error(refusal.field if is_here else None, refusal.message)


class GuardedFormSet(VersionedFormSet):
    """The list of policies, where some fields can be edited: all edits together."""

    def clean(self) -> None:
        super().clean()
        edited = [form.instance for form in self.initial_forms if form.has_changed()]
        if not edited or self.request is None or any(self.errors):
            return
        if found := refusals_of(self.request, edited):
            raise ValidationError([refusal.message for refusal in found])


class GuardedPolicyAdmin(PolicyAdmin):
    """Pages of policies by which one can lock oneself out."""

    def get_form(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        form = super().get_form(request, *args, **options)
        return type(form.__name__, (form,), {"request": request})

    def get_changelist_formset(self, request: HttpRequest, **options: Any) -> Any:
        formset = super().get_changelist_formset(request, **options)
        return type(formset.__name__, (GuardedFormSet, formset), {"request": request})

    def _set_enabled(self, request: HttpRequest, policies: QuerySet[Any], enabled: bool) -> None:
        if not self._is_refused(request, policies, enabled=enabled):
            super()._set_enabled(request, policies, enabled)

    def _is_refused(self, request: HttpRequest, policies: QuerySet[Any], **values: Any) -> bool:
        """Say whether ``values`` on ``policies`` would lock the person out, in a message as well."""
        edited = list(policies)
        for policy in edited:
            for name, value in values.items():
                setattr(policy, name, value)
        found = refusals_of(request, edited)
        for refusal in found:
            self.message_user(request, refusal.message, messages.ERROR)
        return bool(found)


def _person(request: HttpRequest) -> Person:
    caller = caller_of(request)
    return Person(caller.user_id or "", caller.roles, caller.address)


def _limits(policies: Any) -> list[LimitRule]:
    """Compiled; those without a key yet are the youngest, in their order."""
    return [
        rule if rule.id is not None else replace(rule, id=f"~{number:019}")
        for number, rule in enumerate(limit_rule(policy) for policy in policies if policy.enabled)
    ]


def _blocked(rule: AccessRule, person: Person) -> Refusal:
    if rule.network:
        field, words = "network", _("its network %(network)s contains your address %(address)s; name another network")
    elif rule.role:
        field, words = "role", _("you have its role %(role)s; name another role")
    else:
        field, words = "user", _("it is about you; name another user")
    facts = {"network": rule.network, "address": person.address, "role": rule.role}
    message = _("The access rule %(name)s would lock you out: %(why)s, or let somebody save it whom it does not block.")
    return Refusal(rule.name, field, message % {"name": rule.name, "why": words % facts})


def _restricted(restriction: Restriction, person: Person) -> Refusal:
    rule = restriction.rule
    message = _(
        "The rate limit policy %(name)s would lock you out of the admin: its route %(route)s is also that of %(page)s, "
        "where it would leave %(given).3g requests per minute, counted by %(counted)s. Allow at least %(enough)d per "
        "minute, choose a route outside of %(admin)s%(roles)s, let it observe, or put another policy of the scope "
        "%(scope)s before it."
    )
    roles = _(", choose roles that you do not have") if rule.roles & person.roles else ""
    facts = {
        "name": rule.name,
        "route": rule.route.text,
        "page": restriction.page.path,
        "given": restriction.per_minute,
        "counted": str(dict(RateLimitPolicy.CountBy.choices)[rule.count_by]),
        "enough": ENOUGH_PER_MINUTE,
        "admin": reverse("admin:index"),
        "roles": roles,
        "scope": rule.scope,
    }
    return Refusal(rule.name, "limit", message % facts)
