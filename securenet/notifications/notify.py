"""Tells people about something, each once while they have not read it."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model

from perf.caching import invalidate
from securenet.notifications.models import Notification


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
    users = get_user_model().objects.filter(is_active=True, groups__name__in=list(roles)).distinct()
    if key:
        users = users.exclude(pk__in=Notification.objects.filter(key=key, read_at=None).values("user_id"))
    rows = [
        Notification(user=user, title=title[:300], body=body, severity=severity, link=link, key=key) for user in users
    ]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        invalidate(tags=["notifications"])
    return len(rows)
