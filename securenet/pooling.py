"""Connections to PostgreSQL that the threads of a process share (``DATABASE_POOL_SIZE``), and that no fork inherits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

# Seconds that a request waits for a connection; then it is answered as if the database were away.
LONGEST_WAIT: Final = 5.0

_inherited: list[Any] = []  # kept from the garbage collector, which would wait for threads that are not in this process


def pooled(settings: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return Django's settings of a PostgreSQL, with a pool of at most ``size`` connections in each process.

    Connections are opened when they are needed and closed after ten idle minutes, which is psycopg's default.
    """
    os.register_at_fork(after_in_child=_forget_inherited_pools)
    pool = {"min_size": 0, "max_size": size, "timeout": LONGEST_WAIT}
    options = {**settings.get("OPTIONS", {}), "pool": pool}
    # The pool keeps connections; Django refuses to keep them as well.
    return {**settings, "CONN_MAX_AGE": 0, "OPTIONS": options}


def _forget_inherited_pools() -> None:
    """Web workers and work-horses are forks: the pool's sockets are still their parent's, and its threads are not here.

    Django makes a new pool when the child asks for its first connection.
    """
    # Not at the top: settings are read before there is a database backend to be imported.
    from django.db.backends.postgresql.base import DatabaseWrapper

    _inherited.extend(DatabaseWrapper._connection_pools.values())
    DatabaseWrapper._connection_pools.clear()
