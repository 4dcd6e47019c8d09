"""Rows -> revision -> published. One transaction that changes policies makes one revision.

The number is raised inside the transaction that changes policies, so it is committed or rolled back with it, and
concurrent changes queue on the one row of `PolicyHead`. What the revision contains is written, and its number
published, once the transaction has committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import connections, models, router, transaction
from django.db.models import F

from perf.models import AccessRule, CachePolicy, JobPolicy, Policy, PolicyHead, RateLimitPolicy, Revision

log = logging.getLogger(__name__)

POLICY_MODELS: tuple[type[Policy], ...] = (CachePolicy, RateLimitPolicy, AccessRule, JobPolicy)

PolicySet = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who changes policies, and why."""

    author_id: Any = None
    reason: str = ""


NOBODY = Attribution()
_attribution: ContextVar[Attribution] = ContextVar("perf_attribution", default=NOBODY)
_listeners: list[Callable[[int], None]] = []


@contextmanager
def attributed_to(user: Any, reason: str = "") -> Iterator[None]:
    """Policies changed inside the block are the work of ``user``, for ``reason``."""
    author = user.pk if user is not None and user.is_authenticated else None
    token = _attribution.set(Attribution(author, reason[:500]))
    try:
        yield
    finally:
        _attribution.reset(token)


def on_publish(listener: Callable[[int], None]) -> None:
    """Call ``listener(number)`` after each commit that made a revision; the gate registers itself here."""
    if listener not in _listeners:
        _listeners.append(listener)


class _SealAndPublish:
    """The commit hook of one transaction. Its presence among the hooks says that a number is already taken."""

    def __init__(self, number: int, using: str) -> None:
        self.number = number
        self.using = using

    def __call__(self) -> None:
        try:
            seal(self.using)
        finally:
            for listener in _listeners:
                listener(self.number)


def policies_changed(using: str) -> None:
    """Give the running transaction its revision, unless it has one. Rolled back with the change itself."""
    connection = connections[using]
    if any(isinstance(hook[1], _SealAndPublish) for hook in connection.run_on_commit):
        return
    with transaction.atomic(using=using, savepoint=False):
        number = _next_number(using)
        attribution = _attribution.get()
        Revision.objects.using(using).create(number=number, author_id=attribution.author_id, reason=attribution.reason)
        transaction.on_commit(_SealAndPublish(number, using), using=using)


def _next_number(using: str) -> int:
    heads = PolicyHead.objects.using(using)
    if not heads.filter(id=1).update(number=F("number") + 1):
        heads.get_or_create(id=1)
        heads.filter(id=1).update(number=F("number") + 1)
    return heads.values_list("number", flat=True).get(id=1)


def head_number(using: str | None = None) -> int:
    """The number of the newest committed revision; 0 where no policy was ever changed."""
    using = using or router.db_for_write(PolicyHead)
    return PolicyHead.objects.using(using).values_list("number", flat=True).filter(id=1).first() or 0


def seal(using: str) -> None:
    """Write the contents of the newest revision, if that has not happened yet.

    Holding the head keeps other changes out, so the rows read are those of that revision.
    """
    with transaction.atomic(using=using):
        head = PolicyHead.objects.using(using).select_for_update().filter(id=1).first()
        if head is None:
            return
        Revision.objects.using(using).filter(number=head.number, policies__isnull=True).update(
            policies=current_policies(using)
        )


def current_policies(using: str | None = None) -> PolicySet:
    """All policies as JSON data: model name -> rows with their fields, without primary keys."""
    return {
        model.__name__: [
            {"id": row["pk"], **row["fields"]}
            for row in serializers.serialize("python", model.objects.using(using).order_by("pk"))
        ]
        for model in POLICY_MODELS
    }


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference between two revisions; ``field`` is empty where a whole policy came or went."""

    model: str
    name: str
    field: str
    before: Any
    after: Any


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[FieldChange]:
    """What changed between two policy sets, field by field."""
    changes: list[FieldChange] = []
    for model in POLICY_MODELS:
        old = {row["id"]: row for row in (before or {}).get(model.__name__, [])}
        new = {row["id"]: row for row in (after or {}).get(model.__name__, [])}
        for key in sorted(old.keys() | new.keys()):
            changes.extend(_row_difference(model, old.get(key), new.get(key)))
    return changes


def _row_difference(
    model: type[models.Model], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> Iterator[FieldChange]:
    change = partial(FieldChange, model.__name__)
    if old is None or new is None:
        present = new or old or {}
        yield change(str(present.get("name")), "", old, new)
        return
    for field in new:
        if old.get(field) != new[field]:
            yield change(str(new["name"]), field, old.get(field), new[field])


def bring_back(revision: Revision, using: str = "default") -> int:
    """Make the policies those of ``revision`` again, as a new revision; returns its number.

    Rules about users who no longer exist stay away, as they went with their users.

    Raises:
        ValueError: the revision's contents were never written.
    """
    with transaction.atomic(using=using):
        for model, policies in policies_of(revision, using).items():
            model.objects.using(using).exclude(pk__in=[policy.pk for policy in policies]).delete()
            for policy in policies:
                policy.save(using=using)
        policies_changed(using)
    return head_number(using)


def policies_of(revision: Revision, using: str = "default") -> dict[type[Policy], list[Any]]:
    """The rows of ``revision`` by model, unsaved. Raises as `bring_back` does."""
    if revision.policies is None:
        raise ValueError(f"The contents of revision {revision.number} were not recorded; it cannot be brought back.")
    found: dict[type[Policy], list[Any]] = {}
    for model in POLICY_MODELS:
        data = [
            {"model": model._meta.label_lower, "pk": row["id"], "fields": {k: row[k] for k in row if k != "id"}}
            for row in revision.policies.get(model.__name__, [])
        ]
        rows = serializers.deserialize("python", data, using=using, ignorenonexistent=True)
        found[model] = [row.object for row in rows]
    rules = found[AccessRule]
    users = set(
        get_user_model()
        ._default_manager.using(using)
        .filter(pk__in=[rule.user_id for rule in rules if rule.user_id is not None])
        .values_list("pk", flat=True)
    )
    found[AccessRule] = [rule for rule in rules if rule.user_id is None or rule.user_id in users]
    return found
