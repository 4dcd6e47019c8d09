"""What people write takes effect at once: saving or deleting a row drops the cached answers that show it.

Scans write many rows without these signals and invalidate once, at their end.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Model
from django.db.models.signals import post_delete, post_save

from perf.caching import invalidate
from securenet.network.models import Asset, ScanTarget, Service

# Findings show the asset they are about.
TAGS: dict[type[Model], tuple[str, ...]] = {
    Asset: ("assets", "findings"),
    Service: ("assets",),
    ScanTarget: ("targets",),
}


def connect() -> None:
    """Called once, when the app is ready."""
    for model in TAGS:
        for name, signal in (("saved", post_save), ("deleted", post_delete)):
            signal.connect(row_changed, sender=model, dispatch_uid=f"securenet.network.{model.__name__}.{name}")


class _InvalidateAfterCommit:
    """The commit hook of one transaction and set of tags, however many rows it changes."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags

    def __call__(self) -> None:
        invalidate(tags=self.tags)


def row_changed(sender: type[Model], using: str, **_: Any) -> None:
    """A person saved or deleted a row."""
    tags = TAGS[sender]
    connection = connections[using]
    hooks = (hook[1] for hook in connection.run_on_commit)
    if not any(isinstance(hook, _InvalidateAfterCommit) and hook.tags == tags for hook in hooks):
        connection.on_commit(_InvalidateAfterCommit(tags))
