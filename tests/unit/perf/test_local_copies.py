"""The bytes that a process keeps of cached bodies: bounded by what they really take, and given up when of no use."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from perf.caching.entry import Entry, make_entry
from perf.caching.local_copies import LocalCopies

HEADERS = [
    ("Content-Type", "application/json"),
    ("Vary", "Accept, Accept-Language"),
    ("Allow", "GET, HEAD, OPTIONS"),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]


def entry(number: int, length: int = 20) -> Entry:
    """One whose body and one of whose headers are like no other's."""
    return make_entry(200, [*HEADERS, ("X-Own", f"value-{number}")], f"{number}".ljust(length).encode())


@contextmanager
def traced() -> Iterator[list[int]]:
    """Yields a list that will hold the bytes allocated in the block and not freed in it."""
    found: list[int] = []
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield found
    finally:
        found.append(tracemalloc.get_traced_memory()[0] - before)
        tracemalloc.stop()


@pytest.mark.parametrize("length", [20, 2_000, 50_000])
def test_the_budget_holds_for_the_memory_that_python_needs(settings: Any, length: int) -> None:
    budget = settings.PERF_LOCAL_COPIES_BYTES = 1_000_000
    copies = LocalCopies()
    with traced() as found:
        for number in range(budget // (length + 400) * 2):
            copies.put(f"entry:{number:040}", entry(number, length), age=0, lifetime=600)
    # The headers that entries share are kept for themselves, at most a thousand of them.
    assert budget / 3 < found[0] < budget * 1.3


def test_the_copies_least_recently_used_go_first(settings: Any) -> None:
    settings.PERF_LOCAL_COPIES_BYTES = 40_000
    copies = LocalCopies()
    for number in range(100):
        copies.put(f"entry:{number}", entry(number), age=0, lifetime=600)
        copies.get("entry:0")
    assert copies.get("entry:0") is not None
    assert copies.get("entry:1") is None
    assert copies.get("entry:99") is not None


def test_copies_whose_time_is_up_make_room_before_the_budget_is_used_up() -> None:
    copies = LocalCopies()
    for number in range(50):
        copies.put(f"old:{number}", entry(number), age=100, lifetime=90)
    for number in range(50):
        copies.put(f"new:{number}", entry(number), age=0, lifetime=90)
    assert not any(copies.get(f"old:{number}") for number in range(50))
    assert all(copies.get(f"new:{number}") for number in range(50))
