"""Connects changes of policy rows, one by one and in bulk, to revisions."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from perf.models import changed_in_bulk
from perf.policies.revisions import POLICY_MODELS, policies_changed


def connect() -> None:
    """Called once, when Django has loaded the models."""
    changed_in_bulk.connect(_row_changed, dispatch_uid="perf.changed_in_bulk")
    for model in POLICY_MODELS:
        post_save.connect(_row_changed, sender=model, dispatch_uid=f"perf.{model.__name__}.saved")
        post_delete.connect(_row_changed, sender=model, dispatch_uid=f"perf.{model.__name__}.deleted")


def _row_changed(using: str, **_: Any) -> None:
    policies_changed(using)
