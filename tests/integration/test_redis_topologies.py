"""Redis as Sentinel service and as Cluster: it fails over, is resharded, hangs, turns read-only. Requests go on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from django.conf import settings as django_settings
from django_redis import get_redis_connection
from django_rq.connection_utils import get_redis_connection as get_queue_connection
from redis.crc import key_slot
from redis.exceptions import RedisError
from rest_framework.test import APIClient

from perf.gate.connections import ClusterConnectionFactory
from perf.gate.store import store
from perf.models import RateLimitPolicy
from securenet.redis_urls import parse_jobs_url, parse_redis_url
from securenet.run.redis_server import RedisServer
from tests.integration.conftest import forget_process_state
from tests.integration.helpers import client_for, given_cache_policy, given_limit, undisturbed
from tests.integration.test_store_failure import wait_until_closed
from tests.servers.cluster import LIMITS_KEY, RedisCluster, move_slot, redis_cluster
from tests.servers.ports import free_port
from tests.servers.redis import redis_server
from tests.servers.sentinel import SentinelService, redis_sentinel

pytestmark = pytest.mark.urls("tests.integration.site")

TIME_OUT = 0.5  # seconds
PATH = "/api/uncached"


@pytest.fixture
def point_at(settings: Any) -> Callable[[str], None]:
    """Points the process at another Redis, given as in REDIS_URL, until the end of the test."""

    def point(url: str) -> None:
        settings.CACHES = {"default": parse_redis_url(url, "REDIS_URL").cache_settings(TIME_OUT)}
        forget_process_state()

    return point


@pytest.fixture(scope="module")
def service() -> Iterator[SentinelService]:
    with redis_sentinel() as running:
        yield running


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[RedisCluster]:
    with redis_cluster() as running:
        yield running


@pytest.fixture
def cluster(three_nodes: RedisCluster, point_at: Callable[[str], None]) -> RedisCluster:
    """An empty cluster of three nodes, in use."""
    point_at(three_nodes.url)
    get_redis_connection("default").flushall()
    return three_nodes


class Traffic:
    """Requests to one path, one after the other: what became of them."""

    def __init__(self, client: APIClient, path: str = PATH) -> None:
        self.client = client
        self.path = path
        self.codes: list[int] = []
        self.counted = 0  # requests that Redis decided about
        self.slowest = 0.0  # seconds
        self.last: Any = None

    def send(self) -> None:
        begun = time.perf_counter()
        self.last = self.client.get(self.path)
        self.slowest = max(self.slowest, time.perf_counter() - begun)
        self.codes.append(self.last.status_code)
        self.counted += "RateLimit" in self.last.headers

    def send_until(self, condition: Callable[[], object], within: float) -> None:
        """Keep sending, a hundred times a second at most; fail if the condition is not met in time (seconds)."""
        deadline = time.monotonic() + within
        while True:
            self.send()
            if condition():
                return
            assert time.monotonic() < deadline, f"not within {within:g} s; {store.reason=}, {self.codes[-5:]=}"
            time.sleep(0.01)

    @property
    def remaining(self) -> int | None:
        """What the last answer says is left; None if Redis was not asked."""
        field = self.last.headers.get("RateLimit", "")
        return int(field.partition("r=")[2].partition(";")[0]) if field else None


def given_traffic(limit: int) -> tuple[Traffic, RateLimitPolicy]:
    """Requests under a limit that lets pass what cannot be counted."""
    policy = given_limit(route=PATH, limit=limit, on_store_error="allow")
    return Traffic(client_for()), policy


def calls_of(url: str, command: str) -> int:
    """How often the server at ``url`` ran a command for its clients."""
    with redis_py.Redis.from_url(url) as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_a_sentinel_service_fails_over_under_requests(point_at: Callable[[str], None]) -> None:
    with redis_sentinel() as service:
        point_at(service.url)
        traffic, policy = given_traffic(limit=10_000)
        traffic.send()
        assert traffic.counted == 1
        assert calls_of(service.replica.url, "evalsha") == 0  # it has none of our scripts

        service.primary.kill()
        traffic.send()
        assert store.is_open
        policy.limit = 3
        policy.save()  # while nobody takes writes
        traffic.send_until(lambda: "q=3" in traffic.last.headers.get("RateLimit-Policy", ""), within=8)

        assert service.primary_port == service.replica.port
        assert calls_of(service.replica.url, "eval") > 0
        assert set(traffic.codes) <= {200, 429}
        traffic.codes.clear()
        for _ in range(4):
            traffic.send()
        assert traffic.codes[-1] == 429
        assert traffic.slowest < 3 * TIME_OUT


def test_job_queues_find_the_primary_through_sentinels(service: SentinelService) -> None:
    configuration = parse_jobs_url(service.url, "JOBS_REDIS_URL").queue_settings(TIME_OUT)
    connection = get_queue_connection({**configuration, "SERIALIZER": "json"})
    assert connection.info()["tcp_port"] == service.primary_port
    assert connection.info()["role"] == "master"


def test_sentinels_that_are_down_cost_no_retries(service: SentinelService, point_at: Callable[[str], None]) -> None:
    gone = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    point_at(service.url.replace("127.0.0.1:", f"{gone},127.0.0.1:"))
    begun = time.perf_counter()
    assert get_redis_connection("default").ping()
    assert time.perf_counter() - begun < TIME_OUT


def test_a_cluster_is_resharded_under_requests(cluster: RedisCluster) -> None:
    source = cluster.owner_of(LIMITS_KEY)
    see_that_the_count_goes_on(cluster, source, next(node for node in cluster.primaries if node is not source))


def test_a_cluster_is_resharded_to_a_node_that_was_empty(point_at: Callable[[str], None]) -> None:
    with redis_cluster() as cluster:
        point_at(cluster.url)
        traffic, policy = given_traffic(limit=100)  # whose client has not heard of the new node
        traffic.send()
        policy.delete()
        see_that_the_count_goes_on(cluster, cluster.owner_of(LIMITS_KEY), cluster.add_node())


def see_that_the_count_goes_on(cluster: RedisCluster, source: RedisServer, target: RedisServer) -> None:
    """Move the limits from ``source`` to ``target``, with requests while they are half here, half there."""
    traffic, _ = given_traffic(limit=100)
    traffic.send()
    traffic.send()
    assert traffic.remaining == 98

    redis = get_redis_connection("default")

    def ask() -> None:
        traffic.send()
        assert redis.exists(f"{LIMITS_KEY}:nowhere") == 0  # what the source does not hold, it sends to the target for

    moved = move_slot(key_slot(LIMITS_KEY.encode()), source, target, between_keys=ask)

    assert cluster.owner_of(LIMITS_KEY) is target
    assert moved > 2
    wait_until_closed()
    traffic.send()
    assert traffic.remaining == 100 - traffic.counted, "a request was not counted, or one was forgotten"
    assert set(traffic.codes) == {200}


def test_a_request_follows_a_slot_that_moved_while_nobody_asked(cluster: RedisCluster) -> None:
    traffic, _ = given_traffic(limit=5)
    traffic.send()
    source = cluster.owner_of(LIMITS_KEY)
    target = next(node for node in cluster.primaries if node is not source)
    with undisturbed():
        move_slot(key_slot(LIMITS_KEY.encode()), source, target, between_keys=lambda: None)
        failures = store.failures
        traffic.send()
    assert traffic.remaining == 3
    assert store.failures == failures


def test_a_node_of_a_cluster_fails_over_under_requests(point_at: Callable[[str], None]) -> None:
    with redis_cluster(with_replicas=True, node_timeout_ms=500) as cluster:
        point_at(cluster.url)
        traffic, policy = given_traffic(limit=10_000)
        traffic.send()
        owner = cluster.owner_of(LIMITS_KEY)

        owner.kill()
        traffic.send()
        assert store.is_open
        policy.limit = 3
        policy.save()
        traffic.send_until(lambda: "q=3" in traffic.last.headers.get("RateLimit-Policy", ""), within=8)

        assert cluster.owner_of(LIMITS_KEY) in cluster.replicas
        for _ in range(4):
            traffic.send()
        assert traffic.codes[-1] == 429
        assert set(traffic.codes) <= {200, 429}
        assert traffic.slowest < 3 * TIME_OUT


def test_the_node_of_a_cached_response_fails_over_under_requests(
    point_at: Callable[[str], None], settings: Any
) -> None:
    settings.PERF_CACHE_SHARDS = 16
    # The nodes of the limits go on answering, so nothing there tells of the failover.
    with redis_cluster(with_replicas=True, node_timeout_ms=500, require_full_coverage=False) as cluster:
        point_at(cluster.url)
        given_cache_policy()
        limits = cluster.owner_of(LIMITS_KEY)
        number, entry = next(
            (number, key) for number in range(100) if cluster.owner_of(key := stored_entry(number)) is not limits
        )
        cluster.owner_of(entry).kill()
        traffic = Traffic(client_for(), f"/api/counter?n={number}")
        traffic.send()
        assert store.is_open
        traffic.send_until(lambda: "hit" in traffic.last.headers["Cache-Status"], within=8)
        # The node that is asked here may hear of it later than the client did.
        traffic.send_until(lambda: cluster.owner_of(entry) in cluster.replicas, within=8)
        assert set(traffic.codes) == {200}


def stored_entry(number: int) -> str:
    """Ask for ``/api/counter?n=number``; returns the key under which the response is stored."""
    before = entries()
    client_for().get(f"/api/counter?n={number}")
    (key,) = entries() - before
    return key


def entries() -> set[str]:
    redis = get_redis_connection("default")
    keys = {key.decode() for key in redis.keys("*:entry:*", target_nodes=redis.PRIMARIES)}
    return {key for key in keys if not key.endswith(":lease") and ":wake:" not in key}


def test_a_cluster_that_hangs_as_a_whole_costs_one_request_two_time_outs(cluster: RedisCluster) -> None:
    traffic, _ = given_traffic(limit=100)
    traffic.send()
    with undisturbed():  # the background thread may be asking as well, and would wait just as long
        failures = store.failures
        cluster.freeze()
        try:
            for _ in range(20):
                traffic.send()
        finally:
            cluster.thaw()
    assert TIME_OUT < traffic.slowest < 3 * TIME_OUT
    assert store.failures == failures + 1
    assert set(traffic.codes) == {200}
    wait_until_closed()
    traffic.send()
    # The request that timed out may have been counted when its node went on.
    assert traffic.remaining in (100 - traffic.counted, 100 - traffic.counted - 1)


def test_threads_that_meet_a_hanging_cluster_together_do_not_wait_for_each_other(cluster: RedisCluster) -> None:
    client = get_redis_connection("default")
    waited: list[float] = []

    def ask() -> None:
        begun = time.perf_counter()
        with pytest.raises(RedisError):
            client.get(LIMITS_KEY)
        waited.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    with undisturbed():
        cluster.freeze()
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            cluster.thaw()
    assert len(waited) == 8
    assert max(waited) < 3 * TIME_OUT


def test_all_threads_share_a_client_of_the_cluster_and_a_forked_child_has_connections_of_its_own(
    cluster: RedisCluster,
) -> None:
    client = get_redis_connection("default")
    configured = django_settings.CACHES["default"]
    assert ClusterConnectionFactory(configured["OPTIONS"]).connect(configured["LOCATION"]) is client
    mine = client.client_id()
    reading, writing = os.pipe()
    with client.nodes_manager._initialization_lock, client.nodes_manager._lock, client._lock:
        child = _in_a_fork(lambda: os.write(writing, str(_client_id_with_timeout()).encode()))
    assert os.waitpid(child, 0)[1] == 0
    theirs = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    assert theirs not in (0, mine)
    assert client.client_id() == mine


def test_a_primary_that_turns_read_only_is_away_until_it_takes_writes_again(point_at: Callable[[str], None]) -> None:
    with redis_server(persistent=False) as server, redis_py.Redis.from_url(server.url) as operator:
        point_at(server.url)
        traffic, _ = given_traffic(limit=5)
        traffic.send()
        operator.replicaof("127.0.0.1", free_port())
        traffic.send()
        assert "read only" in store.reason
        assert not store.probe()
        traffic.send()
        assert traffic.counted == 1

        operator.replicaof("NO", "ONE")
        wait_until_closed()
        traffic.send()
        assert traffic.remaining == 3
        assert traffic.codes == [200] * 4


def _in_a_fork(action: Callable[[], object]) -> int:
    """Run ``action`` in a forked child, which ends with 0 if it raises nothing; returns the child's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        action()
        code = 0
    finally:
        os._exit(code)


def _client_id_with_timeout() -> int:
    """CLIENT ID of this process' connection; 0 if a lock of the parent keeps it from answering."""
    found = [0]

    def ask() -> None:
        client = get_redis_connection("default")
        client.get(LIMITS_KEY)
        found.append(client.client_id())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(5)
    return found[-1]
