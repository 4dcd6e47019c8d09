"""A trial in words: the verdict, what it rests on, and why each policy decides or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from perf.admin.trial import Trial
from perf.gate.outcome import Allowed, Blocked, Forbidden, Unavailable
from perf.models import AccessRule, CachePolicy, RateLimitPolicy
from perf.policies.explain import AccessEntry, Explained, Reason
from perf.policies.snapshot import CacheRule, LimitRule

AnyExplained = Explained[AccessEntry] | Explained[LimitRule] | Explained[CacheRule]


@dataclass(frozen=True, slots=True)
class Row:
    """A policy in its table."""

    name: str
    about: str
    verdict: str
    decides: bool
    url: str


@dataclass(frozen=True, slots=True)
class Table:
    """The policies of one kind; ``note`` says what the verdicts do not."""

    caption: str
    about: str
    note: str
    rows: Sequence[Row]


def verdict_of(trial: Trial) -> str:
    """What would become of the request, in a sentence."""
    if trial.viewed is None:
        return _("No view is on this path: 404. No policy is asked.")
    match trial.admission:
        case Forbidden(rule=rule, reason=reason):
            return _("Blocked by the access rule %(rule)s: 403. Its reason: %(reason)s") % {
                "rule": rule,
                "reason": reason or "-",
            }
        case Blocked(violated=violated):
            return _("Refused by %s: 429.") % ", ".join(state.rule.name for state in violated)
        case Unavailable(policies=policies):
            return _("Refused while Redis is away by %s: 503.") % ", ".join(policies)
        case None:
            return _("Decided by what each process counts by itself, since Redis is away.")
        case Allowed(limits=limits):
            if trial.is_exempt:
                return _("Allowed: an access rule exempts the client from all limits.")
            if trial.limits and not limits:
                return _("Allowed while Redis is away.")
            return _("Allowed by all limits that are asked.") if limits else _("Allowed: no limit is asked.")


def facts_of(trial: Trial, user: Any = None) -> Iterator[tuple[str, str]]:
    """Names and values of what the verdict rests on."""
    caller, viewed = trial.caller, trial.viewed
    who = caller.label("user_or_ip") if caller.user_id is not None else _("not signed in")
    if user is not None and not user.is_active:
        who = _("%s; the account is disabled, so nobody can sign in with it") % who
    yield _("Client"), who
    yield _("Roles"), ", ".join(sorted(caller.roles)) or "-"
    yield _("Address"), f"{caller.address} ({caller.label('ip')})"
    yield _("Request"), f"{trial.facts.method} {trial.facts.path}"
    if viewed is None:
        yield _("View"), _("none: 404")
    else:
        words = [viewed.name]
        if viewed.throttle_scope:
            words.append(_("throttle_scope %s") % viewed.throttle_scope)
        if not viewed.has_method:
            words.append(_("has no method %s: 405") % trial.facts.method)
        yield _("View"), "; ".join(words)
        yield _("Limits"), _limits_in_words(trial)
        yield _("Cache"), _cache_in_words(trial)
    yield _("Policies"), _("revision %d") % trial.revision


def _limits_in_words(trial: Trial) -> str:
    viewed = trial.viewed
    if viewed is None or not viewed.asks_gate:
        return _("this view has no PolicyThrottle, and no rate_limit: no limit and no access rule is asked")
    words = [] if viewed.asks_policies else [_("this view has no PolicyThrottle: policies by route are not asked")]
    if viewed.is_limited_in_code:
        words.append(_("rate_limit in the code; a policy that the code names is not shown here"))
    words += [_("%s counts by a key of the code, which only a call has") % rule.name for rule in trial.uncounted]
    return "; ".join(words) or _("asked by PolicyThrottle")


def _cache_in_words(trial: Trial) -> str:
    terms, viewed = trial.terms, trial.viewed
    if viewed is None or viewed.cache is None:
        return _("not cached: cache_api_response is not on the view's %s") % trial.facts.method
    if terms is None:
        return _("not cached")
    by = next((row.policy.name for row in trial.explanation.caches if row.decides), "")
    words = [_("TTL %(ttl)d s by %(by)s") % {"ttl": terms.ttl, "by": by or _("the view's code")}]
    if terms.ttl_jitter:
        words.append(_("%d %% earlier or later") % terms.ttl_jitter)
    if terms.stale_while_revalidate:
        words.append(_("stale while revalidate %d s") % terms.stale_while_revalidate)
    if terms.stale_if_error:
        words.append(_("stale if error %d s") % terms.stale_if_error)
    if terms.honours_origin:
        words.append(_("the view's own headers come first"))
    words.append(_("shared by %s") % CachePolicy.SharedBy(terms.shared_by).label)
    if trial.parameters:
        words.append(_("parameters that count: %s") % _printable(f"{n}={v}" for n, v in trial.parameters))
    if terms.vary_on_headers:
        words.append(_("varies on %s") % ", ".join(terms.vary_on_headers))
    return "; ".join(words)


def tables_of(trial: Trial, request: HttpRequest) -> list[Table]:
    """All policies in the order in which they are asked, of the kinds that may be seen."""
    explanation, viewed = trial.explanation, trial.viewed
    unasked = _("None of them is asked here.")
    limits_note = "" if viewed is not None and viewed.asks_policies else unasked
    if trial.is_exempt or isinstance(trial.admission, Forbidden):
        limits_note = _("None of them is asked: an access rule decides.")
    cache_note = "" if viewed is not None and viewed.cache is not None else unasked
    if isinstance(trial.admission, Forbidden):
        cache_note = limits_note
    return [
        _table(request, AccessRule, _("Access rules"), explanation.access,
               "" if viewed is not None and viewed.asks_gate else unasked),
        _table(request, RateLimitPolicy, _("Rate-limit policies"), explanation.limits, limits_note),
        _table(request, CachePolicy, _("Cache policies"), explanation.caches, cache_note),
    ]  # fmt: skip


def _table(
    request: HttpRequest, model: type[Model], caption: str, explained: Iterable[AnyExplained], note: str
) -> Table:
    about = _("Whom") if model is AccessRule else _("Which requests")
    if not may_see(request, model):
        return Table(caption, about, _("You may not see them."), ())
    rows = [
        Row(row.policy.name, _about(row.policy), why(row), row.decides, _change_url(model, row.policy.id))
        for row in explained
    ]
    return Table(caption, about, note, rows)


def why(row: AnyExplained) -> str:
    """Why a policy decides, or why it does not."""
    match row:
        case Explained(reason=Reason.DISABLED):
            return _("disabled")
        case Explained(reason=Reason.EXPIRED):
            return _("expired")
        case Explained(reason=Reason.ROUTE):
            return _("another route")
        case Explained(reason=Reason.SIGNED_OUT):
            return _("counts users, and nobody is signed in")
        case Explained(policy=LimitRule(roles=roles), reason=Reason.ROLE):
            return _("other roles: %s") % ", ".join(sorted(roles))
        case Explained(policy=LimitRule(methods=methods) | CacheRule(methods=methods), reason=Reason.METHOD):
            return _("other methods: %s") % ", ".join(sorted(methods))
        case Explained(policy=LimitRule(scope=scope), reason=Reason.EARLIER, decided_by=name):
            return _("%(name)s comes first in the scope %(scope)s") % {"name": name, "scope": scope}
        case Explained(reason=Reason.EARLIER, decided_by=name):
            return _("%s comes first") % name
        case Explained(policy=AccessEntry() as entry, reason=Reason.SUBJECT):
            return _("another network") if entry.network else _("another role") if entry.role else _("another user")
        case Explained(policy=AccessEntry() as entry):
            return _("decides: %s") % AccessRule.Effect(entry.verdict.effect).label
        case Explained(policy=LimitRule(observe=True)):
            return _("decides: only observes")
        case _:
            return _("decides")


def _about(policy: AccessEntry | LimitRule | CacheRule) -> str:
    match policy:
        case AccessEntry(network=network) if network:
            return network
        case AccessEntry(role=role) if role:
            return _("role %s") % role
        case AccessEntry(user_name=name):
            return _("user %s") % name
        case LimitRule(roles=roles) if roles:
            return f"{_methods(policy)}{policy.route.text} ({', '.join(sorted(roles))})"
        case _:
            return f"{_methods(policy)}{policy.route.text}"


def _methods(policy: LimitRule | CacheRule) -> str:
    return f"{', '.join(sorted(policy.methods))} " if policy.methods else ""


def _printable(texts: Iterable[str]) -> str:
    """What clients wrote may hold bytes that are no text."""
    return ", ".join(texts).encode("utf-8", "backslashreplace").decode()


def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whoever may see or change the policies of this kind."""
    name = model._meta.model_name
    return request.user.has_perm(f"perf.view_{name}") or request.user.has_perm(f"perf.change_{name}")


def _change_url(model: type[Model], pk: int | str) -> str:
    try:
        return reverse(f"admin:perf_{model._meta.model_name}_change", args=[pk])
    except NoReverseMatch:  # the project has taken these pages away
        return ""
