"""The policy set as a document for people and for git, and the way back from a document to rows.

A document knows policies by model and name, never by primary key. What an import would change is computed without
writing anything (`plan`); `apply` carries out that same plan, in one transaction, as one revision.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from perf.models import Policy, PolicyHead, RateLimitPolicy, RoutedPolicy
from perf.policies.documents import MODELS, Document, Fields, Format, InvalidDocument, about, own_fields, read
from perf.policies.revisions import POLICY_MODELS, FieldChange, head_number

__all__ = [
    "Document",
    "InvalidDocument",
    "Plan",
    "apply",
    "carry_out",
    "changes",
    "exported",
    "in_words",
    "plan",
    "policies_held",
    "read",
]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import does: rows to delete, rows to save in this order, and the same field by field.

    ``resulting`` has all rows as they will be, by model.
    """

    removed: tuple[Policy, ...]
    changed: tuple[Policy, ...]
    changes: tuple[FieldChange, ...]
    resulting: Mapping[type[Policy], Sequence[Any]] = field(default_factory=dict)


def exported(fmt: Format, using: str | None = None) -> str:
    """All policies as text: by model, in the order in which they are asked, every field of each."""
    return Document(
        {
            name: {policy.name: _fields_of(policy) for policy in _in_order(model, _rows(model, using))}
            for name, model in MODELS.items()
        }
    ).text(fmt)


def changes(document: Document, *, prune: bool = False, using: str | None = None) -> list[FieldChange]:
    """What importing ``document`` would change now. Raises `InvalidDocument`."""
    return list(plan(document, prune=prune, using=using).changes)


def apply(document: Document, *, prune: bool, using: str | None = None) -> int:
    """Make the policies those of ``document``, as one revision; returns the number of the newest revision.

    Policies that the document does not name are left alone, or deleted with ``prune``. Where nothing changes, there is
    no new revision. Raises `InvalidDocument`, and changes nothing then.
    """
    using = using or router.db_for_write(PolicyHead)
    with policies_held(using):
        carry_out(plan(document, prune=prune, using=using), using)
    return head_number(using)


def carry_out(planned: Plan, using: str | None = None) -> None:
    """Write a plan that was made within the same `policies_held`."""
    for policy in planned.removed:
        policy.delete(using=using)
    for policy in planned.changed:
        policy.save(using=using)


@contextmanager
def policies_held(using: str | None = None) -> Iterator[int]:
    """A transaction in which nobody else changes policies; gives the number of the newest revision.

    Rows are locked before the head, as in every change of a policy, so that nobody waits in a circle. SQLite locks as
    a whole, at the first write.
    """
    using = using or router.db_for_write(PolicyHead)
    heads = PolicyHead.objects.using(using)
    with transaction.atomic(using=using):
        if connections[using].features.has_select_for_update:
            for model in POLICY_MODELS:
                list(model.objects.using(using).select_for_update().order_by("pk").values_list("pk"))
        if not heads.filter(id=1).update(number=F("number")):
            heads.get_or_create(id=1)
            heads.filter(id=1).update(number=F("number"))
        yield head_number(using)


def in_words(change: FieldChange) -> str:
    """``dashboard: ttl 60 → 30``."""
    if change.field:
        return f"{change.name}: {change.field} {change.before} → {change.after}"
    return _("%s removed") % change.name if change.after is None else _("%s added") % change.name


def plan(document: Document, *, prune: bool, using: str | None = None) -> Plan:
    """Compare ``document`` with the policies there are; what would change is validated by the models.

    Raises:
        InvalidDocument: a policy could not be saved in the admin either, a user does not exist, ``prune`` with a
            document that leaves a model out, or policies of one position in an order that a row cannot have.
    """
    problems = _missing_models(document) if prune else []
    removed: list[Policy] = []
    changed: list[Policy] = []
    found: list[FieldChange] = []
    resulting: dict[type[Policy], list[Policy]] = {}
    for model_name, model in MODELS.items():
        rows = {policy.name: policy for policy in _in_order(model, _rows(model, using))}
        stated = document.policies.get(model_name, {})
        kept = [policy for name, policy in rows.items() if name not in stated]
        if prune:
            removed += kept
            found += [FieldChange(model_name, policy.name, "", _fields_of(policy), None) for policy in kept]
            kept = []
        after = []
        for name, fields in stated.items():
            try:
                policy, differences = _stated(model, name, fields, rows.get(name), using)
            except InvalidDocument as error:
                problems += error.problems
                continue
            after.append(policy)
            if differences:
                changed.append(policy)
                found += differences
        if issubclass(model, RoutedPolicy):
            problems += _order_problems(model, after)
        resulting[model] = [*kept, *after]
    if problems:
        raise InvalidDocument(problems)
    return Plan(tuple(removed), tuple(changed), tuple(found), resulting)


def _stated(
    model: type[Policy], name: str, fields: Fields, known: Policy | None, using: str | None
) -> tuple[Policy, list[FieldChange]]:
    """The row that a document states, unsaved, and how it differs from the one there is."""
    policy = copy.copy(known) if known is not None else model(name=name)
    for each in own_fields(model):
        _set(policy, each, fields[each.name] if each.name in fields else each.get_default(), using)
    before = _fields_of(known) if known is not None else None
    if before == _fields_of(policy):
        return policy, []
    try:
        policy.full_clean()
    except ValidationError as error:
        raise InvalidDocument(_validation_problems(model.__name__, name, error)) from error
    after = _fields_of(policy)
    if before is None:
        return policy, [FieldChange(model.__name__, name, "", None, after)]
    return policy, [
        FieldChange(model.__name__, name, each, before[each], after[each])
        for each in after
        if before[each] != after[each]
    ]


def _set(policy: Policy, each: models.Field[Any, Any], value: Any, using: str | None) -> None:
    if isinstance(each, models.ForeignKey) and value is not None:
        users = get_user_model()
        user = users._default_manager.using(using).filter(**{users.USERNAME_FIELD: value}).first()
        if user is None:
            problem = _("there is no user %r; create it, or name another.") % value
            raise InvalidDocument([about(type(policy).__name__, policy.name, each.name, problem)])
        value = user
    elif isinstance(each, models.DateTimeField) and isinstance(value, str):
        value = parse_datetime(value)
    setattr(policy, each.name, value)


def _fields_of(policy: Policy) -> dict[str, Any]:
    """All fields but primary key and name, as plain data."""
    return {each.name: _plain(getattr(policy, each.name)) for each in own_fields(type(policy))}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if timezone.is_aware(value) else value).isoformat()
    if isinstance(value, models.Model):
        return value.get_username() if hasattr(value, "get_username") else str(value.pk)
    if isinstance(value, str):
        return str(value)  # a choice of an enumeration as its value
    return copy.copy(value)


def _rows(model: type[Policy], using: str | None) -> list[Any]:
    related = [each.name for each in own_fields(model) if isinstance(each, models.ForeignKey)]
    rows = model.objects.using(using or router.db_for_write(PolicyHead))
    return list(rows.select_related(*related) if related else rows)


def _in_order(model: type[Policy], policies: Iterable[Any]) -> list[Any]:
    """As they are asked: by position and age; by name where there is no position. New ones are the youngest."""
    if issubclass(model, RoutedPolicy):
        return sorted(policies, key=lambda policy: (policy.position, policy.pk is None, policy.pk or 0))
    return sorted(policies, key=lambda policy: policy.name)


def _order_problems(model: type[Policy], policies: Sequence[Any]) -> Iterator[str]:
    """Of policies with one position the older row comes first; a document may not promise another order."""
    ties: dict[tuple[object, ...], list[Any]] = defaultdict(list)
    for policy in policies:
        scope = policy.scope if isinstance(policy, RateLimitPolicy) else ""
        ties[policy.position, scope].append(policy)
    for tied in ties.values():
        for stated, actual in zip(tied, _in_order(model, tied), strict=True):
            if stated is not actual:
                problem = _("stands before %(other)s, which is older and comes first at position %(position)d.") % {
                    "other": actual.name,
                    "position": actual.position,
                }
                remedy = _("Give them different positions.")
                yield about(model.__name__, stated.name, "position", f"{problem} {remedy}")
                break


def _missing_models(document: Document) -> list[str]:
    words = _("%s is not in the document; where all others are to be deleted, say so by an empty one: {}.")
    return [words % name for name in MODELS if name not in document.policies]


def _validation_problems(model: str, name: str, error: ValidationError) -> Iterator[str]:
    for each, messages in error.message_dict.items():
        for message in messages:
            yield about(model, name, "" if each == "__all__" else each, message)
