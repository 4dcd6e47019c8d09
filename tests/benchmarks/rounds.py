"""Measuring in turns: each round runs every row once, so a noisy machine is noisy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Answer = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rounds:
    """One row: seconds per request, of each round."""

    seconds: Sequence[float]

    @property
    def per_second(self) -> float:
        """Requests per second in the median round."""
        return 1 / self.microseconds * 1e6

    @property
    def microseconds(self) -> float:
        """Microseconds per request in the median round."""
        return statistics.median(self.seconds) * 1e6

    def cost_against(self, other: Rounds) -> Ratio:
        """Time per request as a multiple of the other row's, round by round."""
        return Ratio.of([mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)])

    def speed_against(self, other: Rounds) -> Ratio:
        """Requests per second as a multiple of the other row's, round by round."""
        return other.cost_against(self)

    def added_to(self, other: Rounds) -> float:
        """Microseconds per request beyond the other row's: the median of the rounds' differences."""
        return statistics.median(mine - theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)) * 1e6


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio: the median of the rounds, and between which values their middle half lies."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio:
        low, median, high = statistics.quantiles(ratios, n=4)
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} x ({self.low:.2f}–{self.high:.2f})"


def in_turns(answers: Mapping[str, Answer], *, rounds: int, requests: int, warm_up: int = 20) -> dict[str, Rounds]:
    """Answer ``requests`` requests of every row in each of ``rounds`` rounds; rows begin a round in turn."""
    names = list(answers)
    for answer in answers.values():
        for _ in range(warm_up):
            answer()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            answer = answers[name]
            started = time.perf_counter()
            for _ in range(requests):
                answer()
            seconds[name].append((time.perf_counter() - started) / requests)
    return {name: Rounds(times) for name, times in seconds.items()}
