"""A role that changes its meaning makes what was shared by role void, with the commit of the change."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.models.signals import m2m_changed, post_delete, post_save

from perf.caching.invalidation import SHARED_BY_ROLE, invalidate


def connect() -> None:
    """Called once, when the app is ready."""
    post_save.connect(_role_changed, sender=Group, dispatch_uid="perf.caching.role_saved")
    post_delete.connect(_role_changed, sender=Group, dispatch_uid="perf.caching.role_deleted")
    m2m_changed.connect(
        _permissions_changed, sender=Group.permissions.through, dispatch_uid="perf.caching.permissions_changed"
    )


def _role_changed(**_: Any) -> None:
    invalidate(tags=[SHARED_BY_ROLE])


def _permissions_changed(action: str, **_: Any) -> None:
    if action in {"post_add", "post_remove", "post_clear"}:
        invalidate(tags=[SHARED_BY_ROLE])
