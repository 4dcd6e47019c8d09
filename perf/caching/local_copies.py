"""Bodies this process keeps beside Redis, so that an unchanged one does not cross the wire again.

A copy is served only after Redis has confirmed its etag in the request's own exchange, or while Redis is away.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from perf.caching.entry import Entry
from perf.conf import setting


@dataclass(frozen=True, slots=True)
class Copy:
    """An entry and when it was stored in Redis (monotonic seconds)."""

    entry: Entry
    stored_at: float

    def age(self) -> float:
        """Seconds since it was stored."""
        return max(0.0, time.monotonic() - self.stored_at)


class LocalCopies:
    """The copies of a process: least recently used ones go first when the bytes are used up."""

    def __init__(self) -> None:
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: str) -> Copy | None:
        """The copy of an entry, if this process has one."""
        with self._lock:
            copy = self._copies.get(key)
            if copy is not None:
                self._copies.move_to_end(key)
            return copy

    def put(self, key: str, entry: Entry, age: float) -> None:
        """Keep ``entry``, stored ``age`` seconds ago."""
        budget = int(setting("LOCAL_COPIES_BYTES"))
        if entry.size > budget // 4:
            return
        with self._lock:
            self._drop(key)
            self._copies[key] = Copy(entry, time.monotonic() - age)
            self._bytes += entry.size
            while self._bytes > budget:
                self._drop(next(iter(self._copies)))

    def clear(self) -> None:
        """Drop all copies."""
        with self._lock:
            self._copies.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        dropped = self._copies.pop(key, None)
        if dropped is not None:
            self._bytes -= dropped.entry.size


local_copies = LocalCopies()
os.register_at_fork(after_in_child=local_copies.__init__)  # type: ignore[misc]
