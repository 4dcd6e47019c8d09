"""Integration tests: one process, a real Redis, a real database with real commits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import timezone, translation
from django_redis import get_redis_connection

from perf.caching.local_copies import local_copies
from perf.gate.keeper import keeper
from perf.gate.local import limiter
from perf.gate.notes import notes
from perf.gate.revision import current
from perf.gate.store import store
from perf.policies.revisions import POLICY_MODELS


@pytest.fixture(autouse=True)
def fresh_process(redis, transactional_db) -> Iterator[None]:
    """No policies, an empty Redis, and a process that has forgotten what it knew of the last test."""
    for model in POLICY_MODELS:  # the first test of a run finds those that the migrations installed
        model.objects.all().delete()
    get_redis_connection("default").flushall()
    forget_process_state()
    yield
    forget_process_state()


def forget_process_state() -> None:
    """As if this process had just started."""
    store.close_breaker()
    keeper.forget_deliveries()
    current.forget()
    local_copies.clear()
    limiter.__init__()
    notes.take()
    # Django's test client leaves on what a request in this thread activated.
    translation.deactivate()
    timezone.deactivate()
