"""One connection per thread for the scripts of every request, borrowed from the pool of django-redis for good.

A pool's bookkeeping (locks, a look at the socket, statistics of its own) costs as much as a short script runs. It goes
back to the pool when its thread ends.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

# A connection that was idle for so many seconds may have been closed long before the next command.
IDLE_SECONDS = 1.0

_generations = itertools.count()
_generation = next(_generations)


class Pin:
    """A connection that belongs to one thread of one process."""

    __slots__ = ("_connection", "_generation", "_pid", "_pool", "_used_at")

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._pid = os.getpid()
        self._generation = _generation
        self._connection: Any = None  # if that fails, there is nothing to give back
        self._connection = pool.get_connection()
        self._used_at = time.monotonic()

    def fits(self, pool: Any) -> bool:
        """False where another pool is configured, this process was forked off, or Redis failed since."""
        return self._pool is pool and self._pid == os.getpid() and self._generation == _generation

    @property
    def was_idle(self) -> bool:
        """Say whether the connection was not used for a while."""
        return time.monotonic() - self._used_at > IDLE_SECONDS

    def execute(self, *command: Any) -> Any:
        """Send one command and read its reply. Raises what redis-py raises; after a failure it is disconnected."""
        if not self._connection.is_connected:
            self._connection.connect()  # a Sentinel's connection asks for the primary only here
        self._connection.send_command(*command, check_health=False)
        reply = self._connection.read_response()
        self._used_at = time.monotonic()
        return reply

    def __del__(self) -> None:
        # At the end of the process a daemon thread may have died with the pool's lock.
        if self._connection is not None and self._pid == os.getpid() and not sys.is_finalizing():
            self._pool.release(self._connection)


class _Local(threading.local):
    pin: Pin | None = None


_local = _Local()


def distrust_all() -> None:
    """Redis failed: no connection from before is used any more, in any thread."""
    global _generation
    _generation = next(_generations)


def wait_for(client: Any, seconds: float, *command: Any) -> Any:
    """Run a command that blocks for up to ``seconds``, on a connection of its own; the usual time-out comes on top."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response(timeout=seconds + (connection.socket_timeout or 0.5))
    finally:
        pool.release(connection)


def execute(client: Any, *command: Any) -> Any:
    """Run one command of a plain (or Sentinel) ``client`` on this thread's own connection. Raises what redis-py raises.

    It is sent once: a command whose reply was lost may have been obeyed. Only where a connection turns out to have
    been closed while it was idle, it is sent again on a new one.
    """
    pool, pin = client.connection_pool, _local.pin
    if pin is None or not pin.fits(pool):
        pin = _local.pin = Pin(pool)
    may_be_closed = pin.was_idle
    try:
        return pin.execute(*command)
    except RedisConnectionError as error:
        # Its subclasses tell of a server that is there: loading, or refusing the password.
        if not may_be_closed or type(error) is not RedisConnectionError:
            raise
        return pin.execute(*command)
