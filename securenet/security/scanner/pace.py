"""Keeps connections to one address below its authorised rate.

The generic cell rate algorithm (ITU-T I.371): one time stamp instead of a bucket, and no timer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Connections that may go out together, as seconds of the rate; timers are coarser than one connection at high
# rates.
BURST_SECONDS: Final = 0.05


class Pace:
    """Permission to connect, at most `rate` times per second (in any second at most rate + burst).

    rate: connections per second, above 0, may be infinite. clock: seconds, monotonic.
    """

    __slots__ = ("_clock", "_due", "_interval", "_tolerance")

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        burst = max(1.0, rate * BURST_SECONDS)
        self._interval = 1.0 / rate
        self._tolerance = (burst - 1.0) * self._interval if self._interval else 0.0
        self._due = clock()
        self._clock = clock

    def wait(self) -> float:
        """Seconds until the next connection may start; 0 if it may start now."""
        return max(0.0, self._due - self._tolerance - self._clock())

    def take(self) -> None:
        """Count one connection, which starts now."""
        self._due = max(self._due, self._clock()) + self._interval

    def reserve(self) -> float:
        """Count one connection, which starts after the seconds returned; who asks first comes first."""
        wait = self.wait()
        self.take()
        return wait
