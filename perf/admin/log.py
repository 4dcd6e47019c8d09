"""Django's log of what was done in the admin, for changes of many policies at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from perf.models import Policy
from perf.policies.revisions import POLICY_MODELS, FieldChange, PolicySet, difference

REPR_LENGTH = 200


def log_difference(request: HttpRequest, before: PolicySet, after: PolicySet, reason: str) -> None:
    """One entry for each policy that came, changed or went between two policy sets."""
    LogEntry.objects.bulk_create(
        _entry(request.user, model, key, reason, changes)
        for model in POLICY_MODELS
        for key in sorted(_keys(before, model) | _keys(after, model))
        if (changes := difference(_only(before, model, key), _only(after, model, key)))
    )


def _entry(author: Any, model: type[Policy], key: Any, reason: str, changes: Sequence[FieldChange]) -> LogEntry:
    fields = [change.field for change in changes if change.field]
    flag = CHANGE if fields else ADDITION if changes[0].before is None else DELETION
    return LogEntry(
        user=author,
        content_type=ContentType.objects.get_for_model(model),
        object_id=str(key),
        object_repr=changes[0].name[:REPR_LENGTH],
        action_flag=flag,
        change_message=": ".join(filter(None, [reason, ", ".join(fields)])),
    )


def _keys(policies: PolicySet, model: type[Policy]) -> set[Any]:
    return {row["id"] for row in policies.get(model.__name__, [])}


def _only(policies: PolicySet, model: type[Policy], key: Any) -> PolicySet:
    return {model.__name__: [row for row in policies.get(model.__name__, []) if row["id"] == key]}
