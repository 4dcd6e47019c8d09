"""Tells people about something, each once while they have not read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth import get_user_model

from perf.caching import invalidate
from securenet.notifications.models import Notification

TITLE_LENGTH = 300
ROWS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Message:
    """What is told; the fields are those of `notify`."""

    title: str
    body: str
    severity: str
    link: str = ""
    key: str = ""


def notify(*, roles: Iterable[str], title: str, body: str, severity: str, link: str = "", key: str = "") -> int:
    """Write one notification for each active user with one of ``roles``; takes part in the running transaction.

    Args:
        roles: names of roles.
        title: one line of at most 300 characters; longer ones are cut.
        body: plain text.
        severity: as findings have it.
        link: path of what the notification is about.
        key: users who have not read an earlier one with this key do not get another.

    Returns:
        How many were written.
    """
    return notify_of([Message(title, body, severity, link, key)], roles=roles)


def notify_of(messages: Sequence[Message], *, roles: Iterable[str]) -> int:
    """`notify` of several things at once, in three queries; returns how many notifications were written."""
    keys = {message.key for message in messages if message.key}
    unread = set(Notification.objects.filter(key__in=keys, read_at=None).values_list("user_id", "key"))
    users = get_user_model().objects.filter(is_active=True, groups__name__in=list(roles)).distinct()
    rows = [
        Notification(
            user=user,
            title=message.title[:TITLE_LENGTH],
            body=message.body,
            severity=message.severity,
            link=message.link,
            key=message.key,
        )
        for user in users.only("pk")
        for message in messages
        if (user.pk, message.key) not in unread
    ]
    if rows:
        # Another process may have told somebody the same thing in this moment: the constraint lets one of them win.
        Notification.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS_AT_A_TIME)
        invalidate(tags=["notifications"])
    return len(rows)
