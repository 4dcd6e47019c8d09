from __future__ import annotations

import pytest

from securenet.security.scanner.timeouts import AdaptiveTimeout


def learnt(*rtts: float) -> AdaptiveTimeout:
    timeout = AdaptiveTimeout(first=1.0, least=0.15, greatest=2.0)
    for rtt in rtts:
        timeout.learn(rtt)
    return timeout


def test_before_any_answer_each_attempt_gets_the_first_time_out():
    assert [learnt().seconds(attempt) for attempt in (0, 1)] == [1.0, 1.0]


def test_it_settles_a_little_above_a_steady_round_trip():
    assert learnt(*[0.4] * 50).seconds(0) == pytest.approx(0.4, rel=0.05)


def test_it_leaves_room_for_answers_that_vary():
    rtts = [0.1, 0.5] * 30
    assert learnt(*rtts).seconds(0) > 0.6


def test_it_stays_within_its_bounds():
    assert learnt(*[0.0001] * 50).seconds(0) == 0.15
    assert learnt(*[9.0] * 50).seconds(0) == 2.0
    assert learnt(*[1.5] * 50).seconds(3) == 2.0


def test_a_retry_waits_twice_as_long():
    assert learnt(*[0.0001] * 50).seconds(1) == 0.3
