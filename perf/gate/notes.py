"""What a process notes for the statistics between two exchanges. It rides along on the next one."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock


class Notes:
    """Counted fields, waiting for a ride. Threads may note and take at the same time."""

    # More different fields than this in one go are routes made up by clients, not statistics.
    MAX_FIELDS = 2000
    # Notes of so many seconds ride together: a busy process need not carry some with each request.
    RIDE_SECONDS = 0.05

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()
        self._rode_at = 0.0

    def note(self, field: str, by: int = 1) -> None:
        """Add ``by`` to ``field``."""
        with self._lock:
            if field in self._counts or len(self._counts) < self.MAX_FIELDS:
                self._counts[field] += by

    def note_traffic(self, visit: str, seconds: int) -> None:
        """Add a request to the record of traffic, to be kept for ``seconds``; left out where too much is waiting."""
        with self._lock:
            if len(self._counts) < self.MAX_FIELDS // 2:
                self._counts[f"~{visit}"] = seconds

    def take_if_due(self) -> list[str | int]:
        """As `take`, where the last ride was long enough ago."""
        now = time.monotonic()
        if now - self._rode_at < self.RIDE_SECONDS:
            return []
        self._rode_at = now
        return self.take()

    def take(self) -> list[str | int]:
        """All notes as a flat list of fields and numbers; they are the caller's now."""
        if not self._counts:
            return []
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return [item for pair in counts.items() for item in pair]

    def put_back(self, taken: list[str | int]) -> None:
        """Return what could not be delivered."""
        for i in range(0, len(taken), 2):
            self.note(str(taken[i]), int(taken[i + 1]))

    def __bool__(self) -> bool:
        return bool(self._counts)


notes = Notes()
