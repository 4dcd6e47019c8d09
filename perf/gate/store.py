"""The one place that talks to Redis for policies, limits and cache: scripts, time-outs, and a circuit breaker.

Connections are django-redis'. After one failure the breaker opens: nothing is asked of Redis any more until the
keeper thread (`perf.gate.keeper`) has seen it take a write again, so requests don't pay for its absence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from django_redis import get_redis_connection
from redis.cluster import RedisCluster
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from perf.conf import setting
from perf.gate import keys, pinned
from perf.gate.connections import BoundedCluster
from perf.gate.scripts import Script

log = logging.getLogger(__name__)

# Replies that tell of the state of the server, not of a mistake in a script: by class, and where redis-py has none.
_SERVER_STATES = (
    BusyLoadingError, ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError,
)  # fmt: skip
_SERVER_STATE_CODES = (
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "BUSY",
    "UNBLOCKED",
)


class Call(NamedTuple):
    """One run of a script. All its keys are in one slot."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]


class StoreUnavailable(Exception):
    """Redis cannot be asked now; the message says why. ``was_asked``: it was, and may still obey without an answer."""

    was_asked = False


class Store:
    """Redis behind a breaker. One per process."""

    def __init__(self) -> None:
        self.reason = ""  # why the breaker is open; empty while it is closed
        self.failures = 0
        self.round_trip_seconds = 0.0
        self._on_open: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        """True while Redis is not asked."""
        return bool(self.reason)

    def on_open(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` whenever the breaker opens."""
        self._on_open.append(callback)

    def run(self, script: Script, script_keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script in one command; a server that does not know it yet is sent its text.

        Raises:
            StoreUnavailable: the breaker is open, or Redis failed now.
        """
        self._refuse_if_open()
        started = time.perf_counter()
        try:
            reply = _evaluate(self.client(), Call(script, script_keys, args))
        except (RedisError, OSError) as error:
            raise self._failed(error) from error
        self._note_round_trip(started)
        return reply

    def run_side_by_side(self, *calls: Call) -> list[Any]:
        """Run scripts whose keys live in different slots; all are sent before the first reply is read.

        Raises:
            StoreUnavailable: the breaker is open, or Redis failed now; some of the scripts may have run.
        """
        self._refuse_if_open()
        started = time.perf_counter()
        try:
            client = self.client()
            if isinstance(client, RedisCluster):
                replies = _evaluate_side_by_side(client, calls)
            else:
                replies = [_evaluate(client, call) for call in calls]
        except (RedisError, OSError) as error:
            raise self._failed(error) from error
        self._note_round_trip(started)
        return replies

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """Return ``question(client)``; for reads off the hot path. Raises `StoreUnavailable` as `run` does."""
        self._refuse_if_open()
        try:
            return question(self.client())
        except (RedisError, OSError) as error:
            raise self._failed(error) from error

    def await_wake(self, key: str, seconds: float) -> None:
        """Block until somebody wakes ``key``, a list, or ``seconds`` are over. Whoever wakes passes it on to the next.

        Raises:
            StoreUnavailable: the breaker is open, or Redis failed meanwhile.
        """
        self._refuse_if_open()
        try:
            client = self.client()
            if isinstance(client, RedisCluster):
                node = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
                client = client.get_redis_connection(node)
            pinned.wait_for(client, seconds, "BLMOVE", key, key, "LEFT", "RIGHT", seconds)
        except (RedisError, OSError) as error:
            raise self._failed(error) from error

    def probe(self) -> bool:
        """Say whether Redis takes writes again; does not close the breaker."""
        try:
            client = self.client()
            client.set(keys.probe(), "1", px=1000)
            if isinstance(client, BoundedCluster):
                client.look_again()  # another node may have failed, which the probe does not touch
        except (RedisError, OSError) as error:
            self.reason = _describe(error)
            return False
        return True

    def close_breaker(self) -> None:
        """Ask Redis again from now on."""
        if self.reason:
            log.warning("Redis answers again (it was away: %s).", self.reason)
        self.reason = ""

    def client(self) -> Any:
        """The redis-py client of the configured django-redis cache."""
        return get_redis_connection(setting("CACHE_ALIAS"))

    def _note_round_trip(self, started: float) -> None:
        elapsed = time.perf_counter() - started
        self.round_trip_seconds += (elapsed - self.round_trip_seconds) * 0.05

    def _refuse_if_open(self) -> None:
        if self.reason:
            raise StoreUnavailable(self.reason)

    def _failed(self, error: Exception) -> StoreUnavailable:
        reason = _describe(error)
        if isinstance(error, ResponseError) and not _is_server_state(error):
            log.error("A script of perf failed: %s", reason)
        elif not self.reason:
            log.warning("Redis cannot be asked: %s. Policies decide by their on_store_error.", reason)
        self.failures += 1
        pinned.distrust_all()
        self.reason = reason
        for callback in self._on_open:
            callback()
        unavailable = StoreUnavailable(reason)
        unavailable.was_asked = True
        return unavailable


def _evaluate(client: Any, call: Call) -> Any:
    """One command, unless the server does not know the script yet; a cluster's client follows redirections."""
    is_cluster = isinstance(client, RedisCluster)
    execute: Callable[..., Any] = client.execute_command if is_cluster else partial(pinned.execute, client)
    arguments = (len(call.keys), *call.keys, *call.args)
    try:
        return execute("EVALSHA", call.script.sha, *arguments)
    except NoScriptError:
        return execute("EVAL", call.script.source, *arguments)


def _evaluate_side_by_side(cluster: RedisCluster, calls: Sequence[Call]) -> list[Any]:
    """Send every call to the node of its slot, then read. What a node refuses goes the ordinary way once more."""
    sent: list[tuple[Any, Any]] = []
    replies: list[Any] = []
    try:
        for call in calls:
            node = cluster.get_redis_connection(cluster.get_node_from_key(call.keys[0]))  # type: ignore[no-untyped-call]
            connection = node.connection_pool.get_connection()
            sent.append((node.connection_pool, connection))
            connection.send_command(  # type: ignore[no-untyped-call]
                "EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args
            )
        for _, connection in sent:
            try:
                replies.append(connection.read_response())
            except ResponseError as refusal:  # moved, a script that is not known, …: nothing has run
                replies.append(refusal)
    except BaseException:
        for _, connection in sent:
            connection.disconnect()  # a reply that was not read must not answer the next question
        raise
    finally:
        for pool, connection in sent:
            pool.release(connection)
    return [
        _evaluate(cluster, call) if isinstance(reply, ResponseError) else reply
        for call, reply in zip(calls, replies, strict=True)
    ]


def _is_server_state(error: ResponseError) -> bool:
    return isinstance(error, _SERVER_STATES) or str(error).startswith(_SERVER_STATE_CODES)


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__


store = Store()
