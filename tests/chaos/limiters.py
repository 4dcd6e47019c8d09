"""The three algorithms by their textbook definitions, on an exact log where that takes one. Only judges use them.

Times are whole nanoseconds of one clock; windows are counted from its zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tests.chaos.answers import SECOND


class Limiter(Protocol):
    """A limit of one client."""

    def earliest(self, at: int) -> int:
        """When a request can be admitted that comes at ``at`` or waits from then on."""
        ...

    def admit(self, at: int) -> None:
        """Count a request admitted at ``at``, which is no earlier than any before."""
        ...


class SlidingLog:
    """At most ``limit`` in any half-open interval of ``period`` seconds."""

    def __init__(self, limit: int, period: float) -> None:
        self._period = round(period * SECOND)
        self._times: deque[int] = deque(maxlen=limit)

    def earliest(self, at: int) -> int:
        if not self._times:
            return at
        is_full = len(self._times) == self._times.maxlen
        return max(at, self._times[-1], self._times[0] + self._period if is_full else 0)

    def admit(self, at: int) -> None:
        self._times.append(at)


class FixedWindow:
    """At most ``limit`` in each window of ``period`` seconds."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, round(period * SECOND)
        self._window, self._used, self._last = 0, 0, 0

    def earliest(self, at: int) -> int:
        at = max(at, self._last)
        if at // self._period > self._window or self._used < self._limit:
            return at
        return (self._window + 1) * self._period

    def admit(self, at: int) -> None:
        if at // self._period > self._window:
            self._window, self._used = at // self._period, 0
        self._used += 1
        self._last = at


class TokenBucket:
    """``burst`` at once, and ``limit`` per ``period`` seconds, evenly. In units of a nanosecond times ``limit``."""

    def __init__(self, limit: int, period: float, burst: int) -> None:
        self._limit, self._period, self._burst = limit, round(period * SECOND), burst
        self._full_at = 0  # when the bucket is full again

    def earliest(self, at: int) -> int:
        return max(at, -(-(self._full_at - (self._burst - 1) * self._period) // self._limit))

    def admit(self, at: int) -> None:
        self._full_at = max(self._full_at, at * self._limit) + self._period


MakeLimiter = Callable[[], Limiter]
