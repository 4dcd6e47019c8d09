"""What other caches get wrong with the store: trust in what stands there, leases that are lost, clocks, and changes."""

from __future__ import annotations

import gzip
import pickle
import random
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.test import Client, override_settings
from django_redis import get_redis_connection

from perf.caching import invalidate
from perf.caching.entry import open_entry
from perf.caching.local_copies import local_copies
from perf.gate import keys
from perf.gate.store import store
from perf.metrics.report import performance_report
from tests.integration import trap_views
from tests.integration.helpers import client_for, given_cache_policy, given_user, redis_commands, undisturbed
from tests.integration.test_cache_traps_http import during_computing, is_hit
from tests.integration.test_response_cache import age_entries

pytestmark = pytest.mark.urls("tests.integration.trap_views")

PATH = "/api/shaped"


def get(path: str = PATH) -> Any:
    """The answer to a stranger, in a process that holds no copies of its own."""
    local_copies.clear()
    return Client().get(path)


def entries() -> dict[str, bytes]:
    """All stored responses by key."""
    redis = get_redis_connection("default")
    names = [key.decode() for key in redis.keys("*:entry:*") if not key.endswith(b":lease") and b":wake:" not in key]
    return {name: redis.get(name) for name in names}


def leases() -> dict[str, str]:
    """Who holds which lease."""
    redis = get_redis_connection("default")
    return {key.decode(): redis.get(key).decode() for key in redis.keys("*:lease")}


class Gadget:
    """A pickle that would leave a mark where it is loaded."""

    mark: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


class TestWhatStandsInRedisIsNotTrusted:
    HEAD_BYTES = 52  # what is Redis' own: times and tags

    @pytest.fixture
    def mark(self, tmp_path: Path) -> Path:
        Gadget.mark = tmp_path / "loaded"
        return Gadget.mark

    @pytest.fixture
    def two(self) -> dict[str, bytes]:
        """Two entries, one of them compressed."""
        given_cache_policy("hostile", shared_by="everyone")
        get()
        get("/api/echo/" + "long/" * 1000)
        found = entries()
        assert len(found) == 2
        return found

    def hostile(self, chance: random.Random, good: bytes, other: bytes) -> bytes:
        """Something that must not open as the entry that ``good`` is."""
        at = chance.randrange(self.HEAD_BYTES + good[51], len(good))
        head = good[: self.HEAD_BYTES + good[51]]
        match chance.randrange(8):
            case 0:
                return good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :]
            case 1:
                return good[: chance.randrange(len(good))]
            case 2:
                return other
            case 3:
                return head + other[self.HEAD_BYTES + other[51] :]
            case 4:
                return pickle.dumps(Gadget())
            case 5:
                return head + pickle.dumps(Gadget())
            case 6:
                return head + bytes(16) + b"\x00\xc8\x01\x00" + self.BOMB
            case _:
                return good[:2] + chance.randbytes(chance.randrange(200))

    BOMB = gzip.compress(bytes(64_000_000))

    def test_five_thousand_hostile_values_open_nothing_and_run_nothing(self, two: dict[str, bytes], mark: Path) -> None:
        chance, (key, other_key) = random.Random(1), two
        tracemalloc.start()
        try:
            for _ in range(5000):
                assert open_entry(self.hostile(chance, two[key], two[other_key]), key) is None
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8_000_000, "bytes; the bomb alone would be 64,000,000"
        assert not mark.exists()

    def test_whoever_asks_for_one_gets_a_computed_answer(self, two: dict[str, bytes], mark: Path) -> None:
        chance, redis, failures = random.Random(2), get_redis_connection("default"), store.failures
        good, other = (two[key] for key in self.in_order(two))
        key, _ = self.in_order(two)
        seen = {get().content}
        for _ in range(200):
            redis.set(key, self.hostile(chance, good, other), px=60_000)
            answer = get()
            assert answer.status_code == 200
            assert answer.content not in seen
            seen.add(answer.content)
        assert not mark.exists()
        assert store.failures == failures

    @pytest.mark.parametrize("seed", range(4))
    def test_a_changed_head_changes_at_most_how_long_the_answer_is_kept(self, two: dict[str, bytes], seed: int) -> None:
        chance, redis, failures = random.Random(seed), get_redis_connection("default"), store.failures
        key, _ = self.in_order(two)
        computed = {get().content}
        for _ in range(60):
            blob = bytearray(two[key])
            for _ in range(chance.randint(1, 8)):
                blob[chance.randrange(self.HEAD_BYTES)] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
            redis.set(key, bytes(blob), px=60_000)
            answer = get()
            assert answer.status_code == 200
            assert is_hit(answer) == (answer.content in computed)
            computed.add(answer.content)
        assert store.failures == failures

    @staticmethod
    def in_order(two: dict[str, bytes]) -> list[str]:
        """The keys, that of `PATH` first: it is the smaller entry."""
        return sorted(two, key=lambda key: len(two[key]))


class TestALostLease:
    @pytest.fixture(autouse=True)
    def for_everyone(self) -> None:
        given_cache_policy(shared_by="everyone")

    def compute_and_meanwhile(self, happen: Callable[[str], object]) -> Any:
        with during_computing(lambda: happen(next(iter(leases())))):
            return get("/api/interrupted")

    def test_is_neither_used_nor_ended_by_who_lost_it(self) -> None:
        redis = get_redis_connection("default")
        answer = self.compute_and_meanwhile(lambda lease: redis.set(lease, "another", px=60_000))
        assert "stored" not in answer.headers["Cache-Status"]
        assert set(leases().values()) == {"another"}
        assert not entries()

    @pytest.mark.parametrize("lost", ["expired", "wiped", "unstorable"])
    def test_stores_nothing(self, lost: str) -> None:
        redis = get_redis_connection("default")
        ways: dict[str, Callable[[str], object]] = {
            "expired": redis.delete,
            "wiped": lambda _: redis.flushall(),
            "unstorable": lambda lease: redis.set(lease, "another", px=60_000),
        }
        path = "/api/interrupted?cookie=1" if lost == "unstorable" else "/api/interrupted"
        with during_computing(lambda: ways[lost](next(iter(leases())))):
            assert get(path).status_code == 200
        assert not entries()

    @override_settings(PERF_WAIT_SECONDS=0.2)
    def test_that_its_holder_keeps_for_too_long_is_not_waited_for(self) -> None:
        redis = get_redis_connection("default")
        waited: list[bytes] = []

        def while_held(lease: str) -> None:
            redis.set(lease, "hangs", px=60_000)
            trap_views.during.clear()  # the second one is not interrupted
            waited.append(get("/api/interrupted").content)

        holder = self.compute_and_meanwhile(while_held)
        assert waited
        assert waited[0] != holder.content
        assert set(leases().values()) == {"hangs"}

    def test_what_cannot_be_shared_is_not_handed_to_who_waited_for_it(self) -> None:
        def ask(_: int) -> Any:
            try:
                return Client().get("/api/interrupted?cookie=1")
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, range(8)))
        assert len({answer.content for answer in answers}) == 8
        assert all(answer.cookies["sid"].value for answer in answers)
        assert not leases()


class TestClocks:
    def test_one_that_went_back_makes_no_age_negative(self) -> None:
        get()
        age_entries(-100)
        assert get().headers["Age"] == "0"

    def test_the_jitter_of_an_entry_stays_its_own(self) -> None:
        given_cache_policy(ttl=1000, ttl_jitter=20, shared_by="everyone")
        lives = set()
        for _ in range(5):
            lives.add(get().headers["Cache-Control"])
            invalidate(everything=True)
        assert len(lives) == 1

    def test_a_stale_answer_is_not_kept_downstream(self) -> None:
        given_cache_policy(ttl=10, stale_while_revalidate=600, shared_by="everyone")
        get()
        age_entries(20)
        (key,) = entries()
        get_redis_connection("default").set(f"{key}:lease", "refreshing", px=60_000)
        stale = get()
        assert is_hit(stale)
        assert int(stale.headers["Age"]) >= 20
        assert "max-age=10" in stale.headers["Cache-Control"]

    def test_an_edit_of_the_policy_rewrites_no_entry(self) -> None:
        policy = given_cache_policy(ttl=100, shared_by="everyone")
        first = get().content
        age_entries(50)
        before = entries()
        for ttl, is_kept in ((60, True), (1000, True)):
            policy.ttl = ttl
            policy.save()
            assert (get().content == first) == is_kept
        assert entries() == before
        policy.ttl = 10
        policy.save()
        assert get().content != first


class TestChanges:
    @pytest.fixture(autouse=True)
    def for_everyone(self) -> None:
        given_cache_policy(shared_by="everyone")

    @pytest.mark.parametrize("commits", [True, False])
    def test_what_was_read_in_an_open_transaction_is_not_kept(self, commits: bool) -> None:
        with pytest.raises(_RolledBack) if not commits else transaction.atomic(), transaction.atomic():
            Group.objects.create(name="new")
            invalidate(tags=["groups"])
            assert get("/api/counted").content == b"1"
            if not commits:
                raise _RolledBack
        assert get("/api/counted").content == b"%d" % commits

    def test_dropping_a_hundred_entries_takes_no_more_commands_than_dropping_one(self) -> None:
        for number in range(100):
            get(f"{PATH}?X-Number={number}")
        with undisturbed(), redis_commands() as commands:
            invalidate(policies=["cache"])
        assert commands["evalsha"] + commands["eval"] == len(keys.cache_tags())
        assert not {"del", "unlink", "scan", "keys"} & commands.keys()
        assert not any(is_hit(get(f"{PATH}?X-Number={number}")) for number in range(10))

    def test_a_wiped_redis_serves_nothing_older(self) -> None:
        first = get()
        stored = entries()
        redis = get_redis_connection("default")
        redis.flushall()
        for key, blob in stored.items():
            redis.set(key, blob)  # a replica, a dump: the entry is back, the invalidations are not
        assert get().content != first.content


class _RolledBack(Exception):
    pass


class TestWhatCanBeSeenFromOutside:
    def test_no_header_and_no_key_names_user_policy_or_parameter(self) -> None:
        given_cache_policy("the-policy", shared_by="user", tags=["the-tag"])
        client = client_for(given_user("alice", "viewer"))
        for _ in range(2):
            answer = client.get("/api/browsable?secret=hidden")
            said = " ".join(f"{name}: {value}" for name, value in answer.headers.items())
            for inside in ("alice", "viewer", "the-policy", "the-tag", "hidden", "entry", "perf", "key=", "detail="):
                assert inside not in said
        names = b" ".join(get_redis_connection("default").keys("*"))
        assert not [inside for inside in (b"alice", b"hidden", b"browsable") if inside in names]

    @pytest.mark.parametrize("seed", range(3))
    def test_cache_status_and_statistics_say_what_happened(self, seed: int) -> None:
        given_cache_policy("told", shared_by="everyone", ttl=100)
        chance, computed, hits, asked = random.Random(seed), set[bytes](), 0, 0
        for _ in range(100):
            match chance.randrange(12):
                case 0:
                    invalidate(policies=["told"])
                case 1:
                    age_entries(60)
                case _:
                    answer = client_for().get(f"{PATH}?X-Number={chance.randrange(4)}")
                    asked += 1
                    hits += is_hit(answer)
                    assert is_hit(answer) == (answer.content in computed)
                    computed.add(answer.content)
        counted = performance_report("5m")["api_cache"]["by_policy"]["told"]
        assert (counted["hits"], counted["misses"]) == (hits, asked - hits)
