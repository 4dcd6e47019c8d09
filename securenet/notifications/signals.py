"""A notification that was read or deleted shows on the next request."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from perf.caching import invalidate
from securenet.notifications.models import Notification


def connect() -> None:
    """Called once, when the app is ready."""
    for signal in (post_save, post_delete):
        signal.connect(row_changed, sender=Notification, dispatch_uid=f"securenet.notifications.{id(signal)}")


def row_changed(**_: Any) -> None:
    """Drop the cached lists, once the change is committed."""
    invalidate(tags=["notifications"])
