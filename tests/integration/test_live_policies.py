"""A committed change of policy counts for the next request; a rolled-back one was never seen."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.core import serializers
from django.db import connections, transaction
from django_redis import get_redis_connection

from perf.gate.revision import current
from perf.models import PolicyHead, RateLimitPolicy, Revision
from perf.policies.compile import load_snapshot
from perf.policies.revisions import attributed_to, bring_back, difference, head_number
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user

pytestmark = pytest.mark.urls("tests.integration.site")


def quota() -> str:
    """The limits the next request is decided by, as a client sees them."""
    return client_for().get("/api/uncached").headers.get("RateLimit-Policy", "")


def published() -> int:
    return int(get_redis_connection("default").get("{perf}:revision"))


def pretend_to_be_another_process() -> Callable[[], None]:
    """Put the snapshot of now back after a change, as a process has it that was not told."""
    old = current.get()

    def restore() -> None:
        current._snapshot = old

    return restore


CHANGES: dict[str, Callable[[RateLimitPolicy], object]] = {
    "save": lambda policy: _save(policy, limit=7),
    "queryset update": lambda policy: RateLimitPolicy.objects.update(limit=7),
    "bulk update": lambda policy: _bulk_update(policy, limit=7),
    "loaddata": lambda policy: _load_fixture(policy, limit=7),
    "delete and create": lambda policy: (policy.delete(), given_limit("limit", limit=7)),
    "queryset delete and bulk create": lambda policy: (
        RateLimitPolicy.objects.all().delete(),
        RateLimitPolicy.objects.bulk_create([RateLimitPolicy(name="limit", route="*", limit=7, period=60)]),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_every_way_to_change_a_policy_counts_in_a_process_that_was_not_told(
    change: Callable[[RateLimitPolicy], object],
) -> None:
    policy = given_limit(limit=100)
    assert "q=100" in quota()
    forget = pretend_to_be_another_process()
    change(policy)
    forget()
    assert "q=7" in quota()
    assert published() == head_number()


def test_enabling_and_reordering_count_at_once() -> None:
    given_limit("a", position=1, limit=1000)
    off = given_limit("b", position=0, limit=2000, enabled=False)
    assert "q=1000" in quota()
    RateLimitPolicy.objects.filter(pk=off.pk).update(enabled=True)
    assert "q=2000" in quota()
    RateLimitPolicy.objects.filter(pk=off.pk).update(position=2)
    assert "q=1000" in quota()


def test_a_rolled_back_change_was_never_seen() -> None:
    policy = given_limit(limit=100)
    quota()
    before = head_number(), published()
    with pytest.raises(RuntimeError), transaction.atomic():
        _save(policy, limit=7)
        raise RuntimeError
    assert (head_number(), published()) == before
    assert "q=100" in quota()


def test_a_rolled_back_savepoint_leaves_the_rest_of_the_transaction() -> None:
    policy = given_limit(limit=100)
    with transaction.atomic():
        _save(policy, limit=8)
        with pytest.raises(RuntimeError), transaction.atomic():
            _save(policy, limit=9)
            raise RuntimeError
    assert "q=8" in quota()
    assert Revision.objects.first().policies["RateLimitPolicy"][0]["limit"] == 8


def test_one_transaction_is_one_revision_with_author_and_reason() -> None:
    given_limit("a")
    author = given_user("owner")
    before = head_number()
    with attributed_to(author, "peak season"), transaction.atomic():
        given_limit("b")
        RateLimitPolicy.objects.update(limit=9)
        given_cache_policy()
    revision = Revision.objects.first()
    assert head_number() == before + 1 == revision.number
    assert (revision.author, revision.reason) == (author, "peak season")
    changes = {
        (change.name, change.field) for change in difference(Revision.objects.all()[1].policies, revision.policies)
    }
    assert changes == {("a", "limit"), ("b", ""), ("cache", "")}


def test_concurrent_changes_each_make_a_revision() -> None:
    policies = [given_limit(f"p{number}") for number in range(6)]
    before = head_number()

    def change(policy: RateLimitPolicy) -> None:
        try:
            for limit in range(10, 15):
                _save(policy, limit=limit)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change, args=(policy,)) for policy in policies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert head_number() == before + 30 == published()
    assert Revision.objects.filter(number__gt=before).count() == 30
    assert {row["limit"] for row in Revision.objects.first().policies["RateLimitPolicy"]} == {14}


def test_an_emptied_redis_is_told_the_revision_before_anything_is_decided() -> None:
    given_limit(limit=100)
    quota()
    get_redis_connection("default").flushall()
    assert "q=100" in quota()
    assert published() == head_number()


def test_a_database_that_was_set_back_wins_over_a_newer_number_in_redis() -> None:
    given_limit(limit=100)
    quota()
    get_redis_connection("default").set("{perf}:revision", 10_000)
    assert "q=100" in quota()
    assert published() == head_number()


def test_a_revision_is_brought_back_as_a_new_one() -> None:
    kept, gone = given_limit("kept", limit=10), given_limit("gone", limit=20, scope="other")
    good = Revision.objects.first()
    _save(kept, limit=1)
    gone.delete()
    given_limit("new", scope="third")
    number = bring_back(good)
    assert number == Revision.objects.first().number == good.number + 4
    assert {p.name: p.limit for p in RateLimitPolicy.objects.all()} == {"kept": 10, "gone": 20}
    assert difference(good.policies, Revision.objects.first().policies) == []
    assert load_snapshot().number == number


def test_the_head_is_one_row() -> None:
    given_limit("a")
    given_limit("b")
    assert PolicyHead.objects.count() == 1


def _save(policy: RateLimitPolicy, **fields: object) -> None:
    for name, value in fields.items():
        setattr(policy, name, value)
    policy.save()


def _bulk_update(policy: RateLimitPolicy, **fields: object) -> None:
    for name, value in fields.items():
        setattr(policy, name, value)
    RateLimitPolicy.objects.bulk_update([policy], list(fields))


def _load_fixture(policy: RateLimitPolicy, **fields: object) -> None:
    for name, value in fields.items():
        setattr(policy, name, value)
    with transaction.atomic():
        for loaded in serializers.deserialize("json", serializers.serialize("json", [policy])):
            loaded.save()
