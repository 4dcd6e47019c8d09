"""Dropping cached responses: by tag, policy, route, or all; in one command, however many entries there are."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from perf.gate import keys
from perf.gate.keeper import keeper
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store

EVERYTHING = "*"
# On every entry that several users with the same roles get.
SHARED_BY_ROLE = "shared:role"
# Microseconds after which no entry can be left: the longest TTL and the longest stale time together.
OLDEST_ENTRY = 63 * 24 * 3600 * 1_000_000


def invalidate(
    *,
    tags: Iterable[str] = (),
    policies: Iterable[str] = (),
    routes: Iterable[str] = (),
    everything: bool = False,
) -> None:
    """Make cached responses void, in every process, for every request after the running transaction has committed.

    Outside a transaction that is at once. A rollback invalidates nothing. Where Redis is away, entries cannot be
    served anyway (beyond ``stale_if_error``); the invalidation is delivered as soon as it is back.

    Args:
        tags: as given to `cache_api_response` or in cache policies.
        policies: names of cache policies.
        routes: view names, such as ``security:findings``.
        everything: every entry.
    """
    chosen = [*tags, *(f"policy:{name}" for name in policies), *(f"route:{name}" for name in routes)]
    if everything:
        chosen = [EVERYTHING]
    if chosen:
        transaction.on_commit(lambda: _deliver(tuple(dict.fromkeys(chosen))))


def _deliver(tags: tuple[str, ...]) -> None:
    try:
        _invalidate_now(tags)
    except StoreUnavailable:
        keeper.deliver(f"invalidate:{' '.join(tags)}", lambda: _invalidate_now(tags))


def _invalidate_now(tags: tuple[str, ...]) -> None:
    for cache_tag in keys.cache_tags():
        store.run(load_script("invalidate"), [keys.invalidations(cache_tag)], [OLDEST_ENTRY, *tags])
