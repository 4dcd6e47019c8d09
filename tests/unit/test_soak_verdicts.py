"""The judges of `make soak`: they find what grows, and pass what stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.endurance.samples import ProcessSample, Sample
from tests.endurance.verdicts import REDIS_BOUND, Verdict, verdicts

MB = 1024**2
STEPS = 200


def run(
    resident: Callable[[float], float] = lambda share: 100 * MB,
    files: Callable[[float], float] = lambda share: 20,
    clients: Callable[[float], float] = lambda share: 9,
    redis: Callable[[float], float] = lambda share: 50 * MB,
) -> list[Sample]:
    """A run in which figures follow these functions of the share of its requests."""
    found = []
    for step in range(STEPS + 1):
        share = step / STEPS
        process = ProcessSample("web worker", round(resident(share)), 0, round(files(share)), 5)
        transient = {900 + step: ProcessSample("work-horse", 10 * MB, 0, 3, 1)}
        found.append(
            Sample(step * 5000, step, {7: process, **transient}, round(redis(share)), round(clients(share)), 10, 0)
        )
    return found


def failed(found: list[Verdict]) -> set[str]:
    return {verdict.about for verdict in found if not verdict.held}


def test_what_stays_passes() -> None:
    assert failed(verdicts(run(), {"hit 200": 5}, [])) == set()


def test_warming_up_is_no_growth() -> None:
    samples = run(resident=lambda share: 100 * MB * min(1, 0.5 + share * 11))
    assert failed(verdicts(samples, {}, [])) == set()


@pytest.mark.parametrize("growth", [0.02, 0.5])
def test_memory_that_leaks_is_found(growth: float) -> None:
    samples = run(resident=lambda share: 100 * MB * (1 + growth * share))
    assert failed(verdicts(samples, {}, [])) == {"memory of web worker (7)"}


def test_one_high_figure_is_no_leak() -> None:
    samples = run(resident=lambda share: 150 * MB if share == 0.98 else 100 * MB)
    assert failed(verdicts(samples, {}, [])) == set()


def test_files_that_are_not_closed_are_found() -> None:
    assert failed(verdicts(run(files=lambda share: 20 + 60 * share), {}, [])) == {"files of web worker (7)"}


def test_connections_that_are_not_closed_are_found() -> None:
    assert failed(verdicts(run(clients=lambda share: 9 + 60 * share), {}, [])) == {"connections to Redis"}


def test_a_redis_without_bound_is_found() -> None:
    samples = run(redis=lambda share: 2 * REDIS_BOUND * share)
    assert failed(verdicts(samples, {}, [])) == {"memory of Redis"}


def test_errors_of_the_server_and_lost_answers_are_found() -> None:
    assert failed(verdicts(run(), {"hit 500": 1}, [])) == {"answers"}
    assert failed(verdicts(run(), {"hit 200": 1}, ["hit: ConnectionResetError()"])) == {"answers"}


def test_a_full_queue_is_no_error() -> None:
    assert failed(verdicts(run(), {"job 503": 3, "limited 429": 9}, [])) == set()
