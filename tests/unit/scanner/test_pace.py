from __future__ import annotations

import math

import pytest

from securenet.security.scanner.pace import BURST_SECONDS, Pace


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def times_of(rate: float, count: int) -> list[float]:
    """When `count` connections go out, each as early as the pace lets it."""
    clock = Clock()
    pace = Pace(rate, clock)
    times = []
    for _ in range(count):
        clock.now += pace.wait()
        assert pace.wait() < 1e-9
        pace.take()
        times.append(clock.now)
    return times


@pytest.mark.parametrize("rate", [0.5, 1, 10, 333, 5000])
def test_no_second_sees_more_than_rate_and_burst(rate: float):
    times = times_of(rate, 2000)
    burst = max(1.0, rate * BURST_SECONDS)
    most = max(sum(1 for time in times[i:] if time < start + 1.0) for i, start in enumerate(times[:200]))
    assert most <= rate + burst + 1


@pytest.mark.parametrize("rate", [0.5, 1, 10, 333, 5000])
def test_the_rate_is_reached(rate: float):
    times = times_of(rate, 2000)
    assert 1999 / (times[-1] - times[0]) == pytest.approx(rate, rel=0.15)


def test_pauses_do_not_add_up_to_a_burst():
    clock = Clock()
    pace = Pace(10, clock)
    clock.now += 3600
    taken = 0
    while not pace.wait():
        pace.take()
        taken += 1
    assert taken == 1


def test_an_infinite_rate_never_waits():
    assert times_of(math.inf, 1000)[-1] == 1000.0
