"""One connection per thread for the scripts of every request, borrowed from the pool of django-redis for good.

A pool's bookkeeping (locks, a look at the socket, statistics of its own) costs as much as a short script runs. It goes
back to the pool when its thread ends.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError


class Pin:
    """A connection that belongs to one thread of one process."""

    __slots__ = ("_connection", "_pid", "_pool")

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._pid = os.getpid()
        self._connection = pool.get_connection()

    def fits(self, pool: Any) -> bool:
        """False where another pool is configured now, or this process was forked off."""
        return self._pool is pool and self._pid == os.getpid()

    def execute(self, *command: Any) -> Any:
        """Send one command and read its reply. Raises what redis-py raises; after a time-out it is disconnected."""
        self._connection.send_command(*command, check_health=False)
        return self._connection.read_response()

    def reconnect(self) -> None:
        """Connect anew with the next command."""
        self._connection.disconnect()

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self._pool.release(self._connection)


class _Local(threading.local):
    pin: Pin | None = None


_local = _Local()


def execute(client: Any, *command: Any) -> Any:
    """Run one command of a plain (or Sentinel) ``client`` on this thread's own connection.

    A server that was restarted has closed the connection, which is seen only now: then the command is sent once more
    on a new one. Raises what redis-py raises.
    """
    pool, pin = client.connection_pool, _local.pin
    is_new = pin is None or not pin.fits(pool)
    if is_new or pin is None:
        pin = _local.pin = Pin(pool)
    try:
        return pin.execute(*command)
    except RedisConnectionError as error:
        # Its subclasses tell of a server that is there: loading, or refusing the password.
        if is_new or type(error) is not RedisConnectionError:
            raise
        pin.reconnect()
        return pin.execute(*command)
