"""The forms an address of Redis may have: one server, a service that Sentinels watch, or a Cluster.

Settings make of it what django-redis and django-rq want, `make run` a client to look with. No Django here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from securenet.run.messages import without_password

FORMS = (
    "redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path/to/redis.sock?db=0, "
    "redis+sentinel://host1:26379,host2:26379/service_name/0 or redis+cluster://host1:6379,host2:6379"
)
_NODE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(?P<port>\d{1,5}))?")
_NO_RETRIES = Retry(NoBackoff(), 0)

Node = tuple[str, int]


class UnusableUrl(ValueError):
    """An address that cannot be used; the text has the value, without its password, and the remedy."""


@dataclass(frozen=True, slots=True)
class Server:
    """One Redis server. ``url`` as redis-py reads it."""

    url: str

    def cache_settings(self, time_out: float) -> dict[str, Any]:
        """The entry of ``CACHES``; ``time_out`` in seconds."""
        return _cache_settings(self.url, time_out)

    def queue_settings(self, time_out: float) -> dict[str, Any]:
        """What an entry of ``RQ_QUEUES`` says of the connection."""
        return {"URL": self.url}

    def client(self, time_out: float) -> redis.Redis:
        """A client to look at it with; ``time_out`` in seconds. Connects with the first command."""
        return redis.Redis.from_url(self.url, socket_timeout=time_out, socket_connect_timeout=time_out)


@dataclass(frozen=True, slots=True)
class SentinelService:
    """The primary of ``service``, whichever the Sentinels at ``sentinels`` say it is."""

    sentinels: tuple[Node, ...]
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_password: str | None = None

    def cache_settings(self, time_out: float) -> dict[str, Any]:
        """The entry of ``CACHES``; ``time_out`` in seconds."""
        return _cache_settings(
            f"redis://{self.service}/{self.database}",
            time_out,
            CLIENT_CLASS="django_redis.client.SentinelClient",
            CONNECTION_FACTORY="perf.gate.connections.SentinelConnectionFactory",
            SENTINELS=list(self.sentinels),
            SENTINEL_KWARGS=_given(password=self.sentinel_password),
            USERNAME=self.username,
            PASSWORD=self.password,
        )

    def queue_settings(self, time_out: float) -> dict[str, Any]:
        """What an entry of ``RQ_QUEUES`` says of the connection; ``time_out`` in seconds is for the Sentinels."""
        return {
            "SENTINELS": list(self.sentinels),
            "MASTER_NAME": self.service,
            "DB": self.database,
            "CONNECTION_KWARGS": _given(username=self.username, password=self.password),
            "SENTINEL_KWARGS": self._sentinel_arguments(time_out),
        }

    def client(self, time_out: float) -> redis.Redis:
        """A client of the primary; ``time_out`` in seconds. Asks the Sentinels with the first command."""
        time_outs = {"socket_timeout": time_out, "socket_connect_timeout": time_out}
        sentinel = Sentinel(self.sentinels, sentinel_kwargs=self._sentinel_arguments(time_out), **time_outs)
        primary: redis.Redis = sentinel.master_for(
            self.service, db=self.database, **_given(username=self.username, password=self.password)
        )
        return primary

    def _sentinel_arguments(self, time_out: float) -> dict[str, Any]:
        time_outs = {"socket_timeout": time_out, "socket_connect_timeout": time_out}
        return {**time_outs, "retry": _NO_RETRIES, **_given(password=self.sentinel_password)}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster; ``nodes`` are those that are asked for the others."""

    nodes: tuple[Node, ...]
    username: str | None = None
    password: str | None = None

    def cache_settings(self, time_out: float) -> dict[str, Any]:
        """The entry of ``CACHES``; ``time_out`` in seconds."""
        host, port = self.nodes[0]
        return _cache_settings(
            f"redis://{f'[{host}]' if ':' in host else host}:{port}",
            time_out,
            CONNECTION_FACTORY="perf.gate.connections.ClusterConnectionFactory",
            CLUSTER_NODES=list(self.nodes[1:]),
            USERNAME=self.username,
            PASSWORD=self.password,
        )

    def client(self, time_out: float) -> RedisCluster:
        """A client of all nodes; ``time_out`` in seconds. Connects at once.

        Raises:
            redis.exceptions.RedisClusterException: no node answers as one of a cluster.
        """
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in self.nodes],
            retry=_NO_RETRIES,
            socket_timeout=time_out,
            socket_connect_timeout=time_out,
            **_given(username=self.username, password=self.password),
        )


RedisAddress = Server | SentinelService | Cluster


def parse_redis_url(url: str, variable: str) -> RedisAddress:
    """Read an address of Redis, in one of `FORMS`.

    Args:
        variable: Name of the environment variable it comes from, for the message.

    Raises:
        UnusableUrl: it has none of the forms.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "redis" | "rediss" | "unix":
            return Server(url)
        case "redis+sentinel":
            return _sentinel_service(parts, _Complaint(url, variable))
        case "redis+cluster":
            return _cluster(parts, _Complaint(url, variable))
    raise _Complaint(url, variable)(f"it has to look like {FORMS}")


def parse_jobs_url(url: str, variable: str) -> Server | SentinelService:
    """As `parse_redis_url`, for what RQ can work with.

    Raises:
        UnusableUrl: it has none of the forms, or is a Cluster.
    """
    address = parse_redis_url(url, variable)
    if isinstance(address, Cluster):
        raise UnusableUrl(
            f"{variable} is {without_password(url)!r}, but the job queues of RQ do not work on a Redis Cluster. "
            "Give them a Redis of their own: set JOBS_REDIS_URL to redis://…, rediss://…, unix://… or redis+sentinel://…."
        )
    return address


@dataclass(frozen=True, slots=True)
class _Complaint:
    """Makes the errors about one value."""

    url: str
    variable: str

    def __call__(self, remedy: str) -> UnusableUrl:
        return UnusableUrl(f"{self.variable} is {without_password(self.url)!r}; {remedy}.")


def _sentinel_service(parts: SplitResult, complain: _Complaint) -> SentinelService:
    username, password = _credentials(parts)
    service, _, database = parts.path.strip("/").partition("/")
    if not service or not (database or "0").isdigit():
        raise complain("after the Sentinels stand the service's name and a database: …:26379/service_name/0")
    options = dict(parse_qsl(parts.query))
    sentinel_password = options.pop("sentinel_password", None)
    if options:
        raise complain(f"{', '.join(options)} means nothing there: only sentinel_password may follow the '?'")
    return SentinelService(
        _nodes(parts, 26379, complain), unquote(service), int(database or 0), username, password, sentinel_password
    )


def _cluster(parts: SplitResult, complain: _Complaint) -> Cluster:
    username, password = _credentials(parts)
    if parts.path.strip("/") not in ("", "0") or parts.query:
        raise complain("a Redis Cluster has only database 0: end the address after the last port")
    return Cluster(_nodes(parts, 6379, complain), username, password)


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    """User and password of ``user:password@``; ``password`` alone may stand after a colon."""
    given, _, _ = parts.netloc.rpartition("@")
    username, _, password = given.partition(":")
    return unquote(username) or None, unquote(password) or None


def _nodes(parts: SplitResult, default_port: int, complain: _Complaint) -> tuple[Node, ...]:
    found = []
    for text in parts.netloc.rpartition("@")[2].split(","):
        node = _NODE.fullmatch(text.strip())
        port = int(node["port"] or default_port) if node else 0
        if node is None or not 0 < port < 65536:
            raise complain(
                f"{text!r} is no host:port; write them with commas: host1:{default_port},host2:{default_port}"
            )
        found.append((node["host"].strip("[]"), port))
    return tuple(found)


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _cache_settings(location: str, time_out: float, **options: Any) -> dict[str, Any]:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": time_out,
            "SOCKET_TIMEOUT": time_out,
            "CONNECTION_POOL_KWARGS": {"max_connections": 200},
            **_given(**options),
        },
    }
