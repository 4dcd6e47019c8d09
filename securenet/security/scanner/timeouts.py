"""How long to wait for an answer, learnt from the answers so far (RFC 6298, with bounds of our own)."""

from __future__ import annotations

from typing import Final

_GAIN: Final = 1 / 8
_VARIATION_GAIN: Final = 1 / 4
_VARIATIONS: Final = 4


class AdaptiveTimeout:
    """The time-out for the next connection to one host, in seconds.

    first: before any answer; least and greatest: bounds of what is learnt.
    """

    __slots__ = ("_first", "_greatest", "_least", "_mean", "_variation")

    def __init__(self, first: float, least: float, greatest: float) -> None:
        self._first = first
        self._least = least
        self._greatest = greatest
        self._mean: float | None = None
        self._variation = 0.0

    def learn(self, rtt: float) -> None:
        """Take in the round-trip time (seconds) of one answer."""
        if self._mean is None:
            self._mean, self._variation = rtt, rtt / 2
            return
        self._variation += _VARIATION_GAIN * (abs(rtt - self._mean) - self._variation)
        self._mean += _GAIN * (rtt - self._mean)

    def seconds(self, attempt: int) -> float:
        """How long attempt 0, 1, ... may take: each twice as long as the last, once one was answered."""
        if self._mean is None:
            return self._first
        learnt = max(self._least, self._mean + _VARIATIONS * self._variation)
        return min(learnt * (1 << attempt), self._greatest)
