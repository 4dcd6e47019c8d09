"""What benchmarks share: an empty Redis, no policies, and a process that has just started, so to say."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.models import CachePolicy, RateLimitPolicy
from tests.integration.conftest import forget_process_state


@pytest.fixture(autouse=True)
def clean_slate(redis: Any, transactional_db: None) -> Iterator[None]:
    """Nothing in Redis, no policies, and nothing remembered of the benchmark before."""
    CachePolicy.objects.all().delete()
    RateLimitPolicy.objects.all().delete()
    get_redis_connection("default").flushall()
    forget_process_state()
    yield
    forget_process_state()


@pytest.fixture
def limiters() -> Iterator[ModuleType]:
    """`tests.benchmarks.limiters`, as URLconf and as module: not imported before, because it needs the peers.

    The rate is 100 a day, so that what is used up stays used up.
    """
    with override_settings(ROOT_URLCONF="tests.benchmarks.limiters", BENCH_RATE=(100, 86400)):
        from tests.benchmarks import limiters

        limiters.storage.cache_clear()
        limiters.strategy.cache_clear()
        yield limiters
