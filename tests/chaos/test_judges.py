"""The judges see what is wrong: without that, a load that passes would prove nothing."""

from __future__ import annotations

import random

import pytest

from tests.chaos.answers import SECOND, Answer
from tests.chaos.editor import ROLLED_BACK, Edit
from tests.chaos.judges import Obedience, allowance, needless, obedience, percentile, server_errors, surplus
from tests.chaos.limiters import FixedWindow, MakeLimiter, SlidingLog, Span, TokenBucket

LIMIT, PERIOD, BURST = 10, 1.0, 4
LIMITERS: dict[str, tuple[MakeLimiter, MakeLimiter]] = {  # as it should be, and one that admits a little more
    "sliding_window": (lambda: SlidingLog(LIMIT, PERIOD), lambda: SlidingLog(LIMIT + 1, PERIOD)),
    "sliding_window, period too short": (lambda: SlidingLog(LIMIT, PERIOD), lambda: SlidingLog(LIMIT, PERIOD * 0.99)),
    "sliding_window as fixed window": (lambda: SlidingLog(LIMIT, PERIOD), lambda: FixedWindow(LIMIT, PERIOD)),
    "fixed_window": (lambda: FixedWindow(LIMIT, PERIOD), lambda: FixedWindow(LIMIT + 1, PERIOD)),
    "token_bucket, rate": (lambda: TokenBucket(LIMIT, PERIOD, BURST), lambda: TokenBucket(LIMIT + 1, PERIOD, BURST)),
    "token_bucket, burst": (lambda: TokenBucket(LIMIT, PERIOD, BURST), lambda: TokenBucket(LIMIT, PERIOD, BURST + 1)),
}


def admissions(make_limiter: MakeLimiter, uncertainty: float) -> list[Span]:
    """What a limiter admits of 10 s of requests, as a recorder sees it that knows times to ``uncertainty`` seconds."""
    return decisions(make_limiter, uncertainty)[0]


def decisions(make_limiter: MakeLimiter, uncertainty: float, seed: int = 1) -> tuple[list[Span], list[Span]]:
    """What it admits, and what it refuses."""
    chance, limiter = random.Random(seed), make_limiter()
    admitted: list[Span] = []
    refused: list[Span] = []
    at = 100 * SECOND + SECOND // 2
    while at < 110 * SECOND:
        at += round(chance.uniform(0, 0.02) * SECOND)
        is_admitted = limiter.earliest(at) <= at
        if is_admitted:
            limiter.admit(at)
        before = round(chance.uniform(0, uncertainty) * SECOND)
        (admitted if is_admitted else refused).append(Span(at - before, at + round(uncertainty * SECOND) - before))
    return admitted, refused


@pytest.mark.parametrize("uncertainty", [0.0, 0.001, 0.05])
@pytest.mark.parametrize(("right", "_"), LIMITERS.values(), ids=LIMITERS)
def test_a_limiter_that_is_exact_raises_no_alarm(right: MakeLimiter, _: MakeLimiter, uncertainty: float) -> None:
    spans = admissions(right, uncertainty)
    assert surplus(spans, right) == 0
    assert len(spans) >= 80


@pytest.mark.parametrize("uncertainty", [0.0, 0.001])
@pytest.mark.parametrize(("right", "wrong"), LIMITERS.values(), ids=LIMITERS)
def test_a_limiter_that_admits_a_little_more_is_found_out(
    right: MakeLimiter, wrong: MakeLimiter, uncertainty: float
) -> None:
    assert surplus(admissions(wrong, uncertainty), right) > 0


@pytest.mark.parametrize("uncertainty", [0.0, 0.001, 0.05])
@pytest.mark.parametrize(("right", "_"), LIMITERS.values(), ids=LIMITERS)
def test_no_refusal_of_an_exact_limiter_is_needless(right: MakeLimiter, _: MakeLimiter, uncertainty: float) -> None:
    admitted, refused = decisions(right, uncertainty)
    assert len(refused) >= 500
    assert needless(refused, admitted, right) == 0


@pytest.mark.parametrize("uncertainty", [0.0, 0.001])
@pytest.mark.parametrize(
    ("right", "strict"),
    [
        (lambda: SlidingLog(LIMIT + 1, PERIOD), lambda: SlidingLog(LIMIT, PERIOD)),
        (lambda: SlidingLog(LIMIT, PERIOD, grain=PERIOD / 24), lambda: SlidingLog(LIMIT, PERIOD * 1.1)),
        (lambda: FixedWindow(LIMIT + 1, PERIOD), lambda: FixedWindow(LIMIT, PERIOD)),
        (lambda: TokenBucket(LIMIT + 1, PERIOD, BURST), lambda: TokenBucket(LIMIT, PERIOD, BURST)),
        (lambda: TokenBucket(LIMIT, PERIOD, BURST + 1), lambda: TokenBucket(LIMIT, PERIOD, BURST)),
    ],
    ids=[
        "sliding_window",
        "sliding_window, period too long",
        "fixed_window",
        "token_bucket, rate",
        "token_bucket, burst",
    ],
)
def test_a_limiter_that_admits_a_little_less_is_found_out(
    right: MakeLimiter, strict: MakeLimiter, uncertainty: float
) -> None:
    admitted, refused = decisions(strict, uncertainty)
    assert needless(refused, admitted, right) > 0


def test_an_excess_smaller_than_the_uncertainty_shows_when_it_adds_up() -> None:
    spans = admissions(lambda: SlidingLog(LIMIT + 1, PERIOD), uncertainty=0.2)
    assert surplus(spans, lambda: SlidingLog(LIMIT, PERIOD)) > 0


def test_the_allowance_of_requests_that_an_exact_limiter_admitted_is_all_of_them() -> None:
    for right, _ in LIMITERS.values():
        spans = admissions(right, 0.0)
        assert allowance(spans, right) == len(spans)


def answer(started: int, quota: int | None = None, status: int = 200, retry_after: str = "") -> Answer:
    limits = f'"other";q=7;w=60, "live";q={quota};w=60' if quota else ""
    return Answer(started, started + 5, 0, 0, "/api/live", status, limits, "", retry_after)


def test_a_request_that_began_after_an_edit_had_returned_must_show_it() -> None:
    edits = [Edit("live", 1, 100), Edit("other", 2, 150), Edit("live", 3, 200)]
    seen = [answer(50, 1000), answer(101, 1001), answer(199, 1003), answer(201, 1003)]
    assert obedience(seen, edits, "live", 1000) == Obedience(edits=2, compared=3, stale=0, undecided=0, phantoms=0)
    wrong = [answer(101, 1000), answer(201, 1001), answer(201), answer(202, 1003 + ROLLED_BACK)]
    assert obedience(wrong, edits, "live", 1000) == Obedience(edits=2, compared=3, stale=2, undecided=1, phantoms=1)


def test_only_a_refusal_with_retry_after_is_no_server_error() -> None:
    failures = [answer(1, status=500), answer(2, status=503)]
    assert server_errors([*failures, answer(3, status=503, retry_after="2"), answer(4)], lambda _: True) == failures
    assert len(server_errors([answer(3, status=503, retry_after="2")], lambda _: False)) == 1


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(1, 101)), 0.99) == 99
