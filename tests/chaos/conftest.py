"""Load from many processes: a seed, and a database whose commits all of them see."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.chaos.load import no_policies


@pytest.fixture(scope="session")
def seed() -> int:
    """Decides which client asks when; CHAOS_SEED sets it."""
    chosen = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"\nCHAOS_SEED={chosen}")
    return chosen


@pytest.fixture
def empty_database(redis: object, transactional_db: None) -> Iterator[None]:
    """The test database, without policies and without a transaction around the test."""
    with no_policies():
        yield
