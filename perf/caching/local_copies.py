"""Bodies this process keeps beside Redis, so that an unchanged one does not cross the wire again.

A copy is served only after Redis has confirmed its etag in the request's own exchange, or while Redis is away.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from perf.caching.entry import Entry
from perf.conf import setting

# What CPython needs for a copy beside its entry: the object, its key, and its place among the others.
_COPY_OVERHEAD: Final = 400
# Copies looked at for each one that is put: more than one, so that those whose time is up become fewer.
_SWEPT: Final = 2


@dataclass(frozen=True, slots=True)
class Copy:
    """An entry, when it was stored in Redis, and until when it may be of use (monotonic seconds)."""

    entry: Entry
    stored_at: float
    until: float
    bytes: int

    def age(self) -> float:
        """Seconds since it was stored."""
        return max(0.0, time.monotonic() - self.stored_at)


class LocalCopies:
    """The copies of a process: least recently used ones go first when the bytes are used up, or their time is."""

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

    def put(self, key: str, entry: Entry, age: float, lifetime: float) -> None:
        """Keep ``entry``, stored ``age`` seconds ago, which is of no use ``lifetime`` seconds after it was stored."""
        budget = int(setting("LOCAL_COPIES_BYTES"))
        size = entry.size + len(key) + _COPY_OVERHEAD
        if size > budget // 4:
            return
        now = time.monotonic()
        with self._lock:
            self._drop(key)
            self._copies[key] = Copy(entry, now - age, now - age + lifetime, size)
            self._bytes += size
            for oldest in list(itertools.islice(self._copies, _SWEPT)):
                if self._copies[oldest].until < now:
                    self._drop(oldest)
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
            self._bytes -= dropped.bytes


local_copies = LocalCopies()
os.register_at_fork(after_in_child=local_copies.__init__)  # type: ignore[misc]
