"""The three algorithms by their textbook definitions, on an exact log where that takes one. Only judges use them.

Times are whole nanoseconds of one clock; windows are counted from its zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.answers import SECOND


@dataclass(frozen=True, slots=True)
class Span:
    """The time within which a request was decided, in nanoseconds of Redis' clock."""

    started: int
    ended: int


class Limiter(Protocol):
    """A limit of one client."""

    def earliest(self, at: int) -> int:
        """When a request can be admitted that comes at ``at`` or waits from then on."""
        ...

    def admit(self, at: int) -> None:
        """Count a request admitted at ``at``, which is no earlier than any before."""
        ...

    def may_refuse(self, refused: Span, admitted: Sequence[Span]) -> bool:
        """Say whether a request could be refused, whenever in their spans it and the admitted ones were decided."""
        ...


class SlidingLog:
    """At most ``limit`` in any half-open interval of ``period`` seconds; a request counts up to ``grain`` longer."""

    def __init__(self, limit: int, period: float, grain: float = 0.0) -> None:
        self._limit, self._period, self._grain = limit, round(period * SECOND), round(grain * SECOND)
        self._times: deque[int] = deque(maxlen=limit)

    def earliest(self, at: int) -> int:
        if not self._times:
            return at
        is_full = len(self._times) == self._times.maxlen
        return max(at, self._times[-1], self._times[0] + self._period if is_full else 0)

    def admit(self, at: int) -> None:
        self._times.append(at)

    def may_refuse(self, refused: Span, admitted: Sequence[Span]) -> bool:
        since = refused.started - self._period - self._grain
        counted = [span for span in admitted if span.ended > since and span.started <= refused.ended]
        return len(counted) >= self._limit


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

    def may_refuse(self, refused: Span, admitted: Sequence[Span]) -> bool:
        windows = range(refused.started // self._period, refused.ended // self._period + 1)
        return any(
            sum(span.started // self._period <= window <= span.ended // self._period for span in admitted)
            >= self._limit
            for window in windows
        )


class TokenBucket:
    """``burst`` at once, and ``limit`` per ``period`` seconds, evenly. In units of a nanosecond times ``limit``."""

    def __init__(self, limit: int, period: float, burst: int) -> None:
        self._limit, self._period, self._burst = limit, round(period * SECOND), burst
        self._full_at = 0  # when the bucket is full again

    def earliest(self, at: int) -> int:
        return max(at, -(-(self._full_at - (self._burst - 1) * self._period) // self._limit))

    def admit(self, at: int) -> None:
        self._full_at = max(self._full_at, at * self._limit) + self._period

    def may_refuse(self, refused: Span, admitted: Sequence[Span]) -> bool:
        full_at = 0
        for at in sorted(min(span.ended, refused.ended) for span in admitted if span.started <= refused.ended):
            full_at = max(full_at, at * self._limit) + self._period
        return full_at - (self._burst - 1) * self._period > refused.started * self._limit


MakeLimiter = Callable[[], Limiter]
