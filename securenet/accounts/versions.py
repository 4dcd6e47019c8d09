"""Token versions: a number per user that rises whenever what a token says of the user may have become wrong.

The number rises in the transaction of the change itself; that it rose is announced to all processes after the
commit. A token that carries another number than the announced one is checked in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from perf.gate import identities

_BATCH = 500  # databases limit the parameters of one statement


def raise_versions(user_ids: Iterable[Any], **changes: Any) -> None:
    """Raise the token version of these users by one, with the running transaction; announce it after the commit.

    Args:
        user_ids: primary keys; unknown ones are ignored.
        changes: further columns to write in the same statement.
    """
    with transaction.atomic():
        for ids in _batches(sorted(set(user_ids))):
            _rows().filter(pk__in=ids).update(
                token_version=F("token_version") + 1, token_version_changed_at=timezone.now(), **changes
            )
            transaction.on_commit(partial(_announce, ids))


def retire(user_id: Any, version: int) -> None:
    """The account was deleted: its tokens are outdated as well. ``version`` is the last one it had."""
    from securenet.accounts.models import DeletedAccount

    DeletedAccount.bury(user_id, version + 1)
    transaction.on_commit(partial(identities.announce, str(user_id), version + 1))


def _batches(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def _announce(user_ids: Sequence[Any]) -> None:
    """Announce what the database says now: another change may have been committed meanwhile."""
    for user_id, version in _rows().filter(pk__in=user_ids).values_list("pk", "token_version"):
        identities.announce(str(user_id), version)


def _rows() -> Any:
    return get_user_model()._base_manager.all()
