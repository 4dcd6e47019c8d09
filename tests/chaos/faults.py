"""What can happen to Redis, and to the server that takes its place."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from securenet.run.redis_server import RedisServer
from tests.servers.ports import free_port
from tests.servers.securenet import until

SYNC_SECONDS = 20.0


class Host:
    """One address at which there is a Redis, most of the time. Its server can be replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._replica: RedisServer | None = None
        self.server = RedisServer(folder / "first", port=free_port())
        self.server.start()

    @property
    def url(self) -> str:
        return self.server.url

    def admin(self, url: str = "") -> Any:
        """A client for commands to the server; close it after use."""
        return redis.Redis.from_url(url or self.url, socket_timeout=5, decode_responses=True)

    def command(self, *words: str | int) -> Any:
        """Send one command and return the reply."""
        with self.admin() as client:
            return client.execute_command(*words)

    def add_replica(self) -> None:
        """Start a second server with all that the first has; it is up to date when this returns."""
        self._replica = RedisServer(self._folder / "replica", port=free_port())
        self._replica.start()
        with self.admin(self._replica.url) as client:
            client.replicaof("127.0.0.1", self.server.port)
            until(lambda: _is_in_sync(client), SYNC_SECONDS, lambda: str(client.info("replication")))

    def promote_replica(self) -> None:
        """Start a server on what the replica has got, at the address of the one that has died."""
        assert self._replica is not None, "Call add_replica first."
        self._replica.stop()
        self.server = RedisServer(self._replica.data_dir, port=self.server.port)
        self.server.start()

    def stop(self) -> None:
        if self.server.child.is_running:
            os.kill(self.server.pid, signal.SIGCONT)
        self.server.stop(grace=2)
        if self._replica is not None:
            self._replica.stop(grace=2)


def _is_in_sync(replica: Any) -> bool:
    replication = replica.info("replication")
    return replication.get("master_link_status") == "up" and not replication.get("master_sync_in_progress")


@contextmanager
def killed(host: Host) -> Iterator[None]:
    """SIGKILL, and a start on the same data."""
    host.server.kill()
    yield
    host.server.start()


@contextmanager
def frozen(host: Host) -> Iterator[None]:
    """It takes connections and answers nothing."""
    os.kill(host.server.pid, signal.SIGSTOP)
    yield
    os.kill(host.server.pid, signal.SIGCONT)


@contextmanager
def read_only(host: Host) -> Iterator[None]:
    """A replica of a primary that is not there."""
    host.command("REPLICAOF", "127.0.0.1", free_port())
    yield
    host.command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(host: Host) -> Iterator[None]:
    """No byte left, and nothing may be evicted."""
    host.command("CONFIG", "SET", "maxmemory", 1)
    yield
    host.command("CONFIG", "SET", "maxmemory", 0)


@contextmanager
def emptied(host: Host) -> Iterator[None]:
    """Killed, and started without any of its files."""
    host.server.kill()
    yield
    shutil.rmtree(host.server.data_dir)
    host.server.start()


@contextmanager
def flushed(host: Host) -> Iterator[None]:
    """FLUSHALL while it runs: no request notices a failure."""
    host.command("FLUSHALL")
    yield


@contextmanager
def without_scripts(host: Host) -> Iterator[None]:
    """SCRIPT FLUSH while it runs."""
    host.command("SCRIPT", "FLUSH")
    yield


@contextmanager
def replaced(host: Host) -> Iterator[None]:
    """The primary dies; its replica, which has all but the last moments, takes over the address."""
    host.server.kill()
    yield
    host.promote_replica()


def _nothing(_: Host) -> None:
    """Most faults need no preparation."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``happens`` lasts for the length of its ``with`` block; ``is_outage``: Redis cannot be asked meanwhile.

    What has to be there before is made by ``prepare``.
    """

    name: str
    happens: Callable[[Host], Any]
    is_outage: bool = True
    prepare: Callable[[Host], None] = _nothing


FAULTS = (
    Fault("SIGKILL, restarted on its data", killed),
    Fault("SIGSTOP", frozen),
    Fault("read-only", read_only),
    Fault("full (maxmemory)", full),
    Fault("restarted empty", emptied),
    Fault("FLUSHALL", flushed, is_outage=False),
    Fault("SCRIPT FLUSH", without_scripts, is_outage=False),
    Fault("replaced by a replica", replaced, prepare=Host.add_replica),
)
