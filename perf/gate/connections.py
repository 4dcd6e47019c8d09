"""Connection factories of django-redis for a Redis Cluster and for Redis Sentinel, chosen in ``CACHES``.

What they add to redis-py's clients is a bound: a request waits for what does not answer about two time-outs in all,
however many nodes hang, and sees nothing but redis-py's own errors. `perf.gate.store` needs both.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django_redis import pool
from redis.backoff import NoBackoff
from redis.cluster import PRIMARY, ClusterNode, ClusterPipeline, RedisCluster
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError, RedisClusterException, ResponseError, TimeoutError
from redis.retry import Retry

T = TypeVar("T")

DEFAULT_TIMEOUT = 5.0  # seconds, where CACHES says nothing: redis-py's own
# The breaker of perf.gate.store tries again, not the request: a command whose answer was lost may have been obeyed.
NO_RETRIES = Retry(NoBackoff(), 0)


class ClusterConnectionFactory(pool.ConnectionFactory):  # type: ignore[misc]
    """Gives every cache and thread of a process the same client of a Redis Cluster.

    In the settings of any project::

        CACHES = {
            "default": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": "redis://user:password@10.0.0.1:6379",  # there is only database 0
                "OPTIONS": {
                    "CONNECTION_FACTORY": "perf.gate.connections.ClusterConnectionFactory",
                    "CLUSTER_NODES": [("10.0.0.2", 6379), ("10.0.0.3", 6379)],  # more ways in; one that lives will do
                    "SOCKET_CONNECT_TIMEOUT": 0.5,  # seconds
                    "SOCKET_TIMEOUT": 0.5,
                    "CONNECTION_POOL_KWARGS": {"max_connections": 200},  # per node
                },
            }
        }

    All arguments of `redis.cluster.RedisCluster` may stand in ``REDIS_CLIENT_KWARGS``, such as ``address_remap``.
    Commands on several keys (Django's ``get_many`` among them) need keys with one hash tag, as on every cluster.

    Raises:
        ImproperlyConfigured: ``CLUSTER_NODES`` is no list of (host, port).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        try:
            self.nodes = tuple((str(host), int(port)) for host, port in options.get("CLUSTER_NODES", ()))
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(
                f"CLUSTER_NODES is {options['CLUSTER_NODES']!r}; write a list of (host, port), "
                'for example [("10.0.0.2", 6379)].'
            ) from error

    def get_connection(self, params: dict[str, Any]) -> BoundedCluster:
        """The client of this process; made where there is none yet, which asks the cluster for its slots.

        Raises:
            redis.exceptions.ConnectionError: no node can be reached, or those that can know no cluster.
        """
        key = (params["url"], params.get("username"), params.get("password"), *self.nodes)
        if (client := _clients.get(key)) is not None:
            return client
        patience = max(params.get("socket_timeout") or 0, params.get("socket_connect_timeout") or 0) or DEFAULT_TIMEOUT
        with _time_limit(patience), _making_clients:
            if key not in _clients:
                _clients[key] = self._new_client(patience, params)
            return _clients[key]

    def disconnect(self, connection: BoundedCluster) -> None:
        """Close the connections to all nodes; they are made again when needed."""
        connection.disconnect_connection_pools()  # type: ignore[no-untyped-call]

    def _new_client(self, patience: float, params: dict[str, Any]) -> BoundedCluster:
        connection = {name: value for name, value in params.items() if name != "parser_class"}
        arguments = {**connection, **self.pool_cls_kwargs, **self.redis_client_cls_kwargs}
        more_nodes = [_node(host, port) for host, port in self.nodes]
        return _with_redis_errors(lambda: BoundedCluster(patience, startup_nodes=more_nodes, **arguments))


class SentinelConnectionFactory(pool.SentinelConnectionFactory):  # type: ignore[misc]
    """django-redis' factory, without ten retries at every sentinel that is down, and with names in mixed case.

    In the settings of any project::

        "LOCATION": "redis://service_name/0",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_FACTORY": "perf.gate.connections.SentinelConnectionFactory",
            "SENTINELS": [("10.0.0.1", 26379), ("10.0.0.2", 26379), ("10.0.0.3", 26379)],
            "SENTINEL_KWARGS": {"password": "of the sentinels"},  # if they ask for one
            "PASSWORD": "of the data servers",
            "SOCKET_CONNECT_TIMEOUT": 0.5,  # seconds
            "SOCKET_TIMEOUT": 0.5,
        }
    """

    def __init__(self, options: dict[str, Any]) -> None:
        time_outs = {
            name.lower(): options[name] for name in ("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT") if options.get(name)
        }
        asked = {"retry": NO_RETRIES, **time_outs, **options.get("SENTINEL_KWARGS", {})}
        super().__init__({**options, "SENTINEL_KWARGS": asked})

    def get_or_create_connection_pool(self, params: dict[str, Any]) -> Any:
        """The pool that this process has for the service; those of other Sentinels may watch one of the same name."""
        sentinels = ",".join(f"{host}:{port}" for host, port in self.options["SENTINELS"])
        key = f"{params['url']} of {sentinels}"
        if key not in self._pools:
            self._pools[key] = self.get_connection_pool(params)
        return self._pools[key]

    def get_connection_pool(self, params: dict[str, Any]) -> Any:
        """The pool of the service that the URL names where another has a host."""
        made = super().get_connection_pool(params)
        # django-redis takes `hostname` of the parsed URL, which is in lower case.
        name = urlsplit(params["url"]).netloc.rpartition("@")[2].partition(":")[0]
        made.service_name = made.proxy.service_name = name
        return made


class _LearnsNodes(RedisCluster):
    """A client that follows ASK to a node it has not heard of: one that is being filled has no slots of its own."""

    def get_node(self, host: Any = None, port: Any = None, node_name: Any = None) -> Any:
        """The node by host and port or by its name ``host:port``; one that is not known is added."""
        known = super().get_node(host, port, node_name)  # type: ignore[no-untyped-call]
        if known is not None or not node_name:
            return known
        host, _, port = node_name.rpartition(":")
        with self.nodes_manager._lock:
            return self.nodes_manager.nodes_cache.setdefault(node_name, _node(host, int(port)))


class BoundedCluster(_LearnsNodes):
    """A `RedisCluster` whose commands take about two time-outs at most, and fail with errors of redis-py's family.

    Args:
        patience: seconds; the time-out of one command.
        arguments: those of `RedisCluster`.
    """

    def __init__(self, patience: float, **arguments: Any) -> None:
        self._patience = patience
        super().__init__(
            **{
                "retry": NO_RETRIES,
                # perf needs its own slots; a command whose slot nobody serves is told so.
                "require_full_coverage": False,
                **arguments,
                "connection_pool_class": _BoundedPool,
            }
        )

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """As `RedisCluster` does it; what any node can answer is asked of a second one if the first is gone."""
        with _time_limit(self._patience):
            return _with_redis_errors(lambda: self._execute(*args, **kwargs))

    def _execute(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute_command(*args, **kwargs)  # type: ignore[no-untyped-call]
        except (ConnectionError, TimeoutError):
            if kwargs.get("target_nodes") or self.command_flags.get(str(args[0]).upper()) != self.DEFAULT_NODE:
                raise
        self.replace_default_node()
        return super().execute_command(*args, **kwargs)  # type: ignore[no-untyped-call]

    def get_node_from_key(self, key: Any, replica: bool = False) -> Any:
        """The node that serves a key. Raises `ConnectionError` where none does."""
        find = super().get_node_from_key
        return _with_redis_errors(lambda: find(key, replica))  # type: ignore[no-untyped-call]

    def determine_slot(self, *args: Any) -> int | None:
        """The slot of a command's keys. Raises `ResponseError` where they have no slot in common."""
        try:
            slot: int | None = super().determine_slot(*args)
        except RedisClusterException as error:
            raise ResponseError(f"CROSSSLOT {error}") from error
        return slot

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> BoundedPipeline:
        """A pipeline with the same bound on each `execute`."""
        return BoundedPipeline(
            self._patience,
            nodes_manager=self.nodes_manager,
            commands_parser=self.commands_parser,
            startup_nodes=self.nodes_manager.startup_nodes,
            result_callbacks=self.result_callbacks,
            cluster_response_callbacks=self.cluster_response_callbacks,
            retry=self.retry,
            lock=self._lock,
            transaction=transaction,
        )

    def look_again(self) -> None:
        """Ask for the layout anew. `execute_command` does that by itself when a node fails or redirects.

        For those who send to nodes without it. Raises `ConnectionError` if nobody knows the layout.
        """
        with _time_limit(self._patience):
            _with_redis_errors(self.nodes_manager.initialize)

    def forget_connections(self) -> None:
        """In a forked child: connections are the parent's, and its threads may have held any lock."""
        self._lock = threading.RLock()
        manager = self.nodes_manager
        manager._lock, manager._initialization_lock = threading.RLock(), threading.RLock()
        for node in {*manager.nodes_cache.values(), *manager.startup_nodes.values()}:
            node.redis_connection = None  # made anew when it is needed


class BoundedPipeline(_LearnsNodes, ClusterPipeline):
    """A pipeline of `BoundedCluster`."""

    def __init__(self, patience: float, **arguments: Any) -> None:
        self._patience = patience
        super().__init__(**arguments)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what is queued; returns the answers in order."""
        with _time_limit(self._patience):
            return _with_redis_errors(lambda: ClusterPipeline.execute(self, raise_on_error))


class _Limit(threading.local):
    """The time (monotonic) after which this thread's command asks no further node."""

    ends: float | None = None


_limit = _Limit()


@contextmanager
def _time_limit(patience: float) -> Iterator[None]:
    """Let no attempt begin after one and a half time-outs, so that the last ends after two and a half at the latest.

    One attempt that times out and one look for the new layout fit in. A limit that is set already holds on.
    """
    if _limit.ends is not None:
        yield
        return
    _limit.ends = time.monotonic() + 1.5 * patience
    try:
        yield
    finally:
        _limit.ends = None


class _BoundedPool(ConnectionPool):
    """A pool that gives out no connection to a command whose time is up."""

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if _limit.ends is not None and time.monotonic() > _limit.ends:
            raise TimeoutError("Timeout: the cluster's other nodes were not asked any more")
        return super().get_connection(*args, **options)


def _node(host: str, port: int) -> ClusterNode:
    return ClusterNode(host, port, PRIMARY)  # type: ignore[no-untyped-call]


def _with_redis_errors(action: Callable[[], T]) -> T:
    """Run ``action``; redis-py's exception for clusters, which is no `RedisError`, becomes a `ConnectionError`."""
    try:
        return action()
    except RedisClusterException as error:
        raise ConnectionError(str(error)) from error


_clients: dict[tuple[Any, ...], BoundedCluster] = {}
_making_clients = threading.Lock()


def _after_fork_in_child() -> None:
    global _making_clients
    _making_clients = threading.Lock()
    _limit.ends = None
    for client in _clients.values():
        client.forget_connections()


os.register_at_fork(after_in_child=_after_fork_in_child)
