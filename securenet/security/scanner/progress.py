"""Tells the caller how far a scan is, often enough to be stopped and seldom enough to cost nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

OnProgress = Callable[[int, int, str], None]
INTERVAL: Final = 0.2  # seconds between two calls


class Progress:
    """Counts what is done of `total` and passes it on, at most once per `interval` seconds.

    `on_progress(done, total, message)` runs in the thread that scans; what it raises stops the scan.
    """

    def __init__(
        self,
        total: int,
        on_progress: OnProgress | None,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.done = 0
        self.message = ""
        self._on_progress = on_progress
        self._interval = interval
        self._clock = clock
        self._next = clock()

    def advance(self, count: int = 1) -> None:
        """Count `count` more as done."""
        self.done += count

    def say(self, message: str) -> None:
        """Set the message that goes out with the next call."""
        self.message = message

    def beat(self) -> None:
        """Call back if it is time to; to be called at least every few tenths of a second."""
        if self._clock() >= self._next:
            self._call()

    def finish(self) -> None:
        """Call back now, so that the last state is known."""
        self._call()

    def _call(self) -> None:
        self._next = self._clock() + self._interval
        if self._on_progress is not None:
            self._on_progress(self.done, self.total, self.message)
