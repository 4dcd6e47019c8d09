"""Patient guessing: few attempts, hours apart, and not a word about those whom the brute-force rule names."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_samples import at, failure, request, subjects, success

from securenet.logs.analysis import analyse
from securenet.logs.detectors import BruteForceDetector, Detection, LowAndSlowDetector, Severity
from securenet.logs.parsers import Event

MINUTE, HOUR = 60, 3600


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = LowAndSlowDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def every(seconds: float, attempts: int, source: str = "192.0.2.1", start: float = 0) -> list[Event]:
    return [failure(start + seconds * number, source) for number in range(attempts)]


def test_five_attempts_over_an_hour_are_an_attack_and_four_are_not() -> None:
    assert not detections(every(20 * MINUTE, 4))
    (found,) = detections(every(15 * MINUTE, 5))
    assert (found.detector, found.subject, found.count, found.severity) == (
        "low_and_slow",
        "192.0.2.1",
        5,
        Severity.MEDIUM,
    )
    assert (found.first_seen, found.last_seen) == (at(0), at(HOUR))


def test_the_hour_includes_both_ends() -> None:
    assert not detections([*every(15 * MINUTE, 4), failure(HOUR - 1)])
    assert detections([*every(15 * MINUTE, 4), failure(HOUR)])


def test_the_day_includes_both_ends() -> None:
    assert detections([*every(5 * HOUR, 4), failure(24 * HOUR)])
    assert not detections([*every(5 * HOUR, 4), failure(24 * HOUR + 1)])


def test_attempts_that_never_come_five_a_day_are_left_alone() -> None:
    assert not detections(every(6 * HOUR + 1, 100))


def test_one_line_counts_as_often_as_it_says() -> None:
    (found,) = detections(
        [failure(0), failure(HOUR), failure(HOUR + 1), failure(HOUR + 2), *every(1, 3, start=2 * HOUR)]
    )
    assert found.count == 7


@pytest.mark.parametrize(("threshold", "spread"), [(3, 600), (20, 4 * HOUR)])
def test_threshold_and_spread_are_parameters(threshold: int, spread: int) -> None:
    chosen = {"threshold": threshold, "spread": timedelta(seconds=spread)}
    step = spread / (threshold - 1)
    assert detections(every(step, threshold), **chosen)
    assert not detections(every(step, threshold - 1), **chosen)
    assert not detections(every(step * 0.99, threshold), **chosen)


def test_a_person_who_mistypes_and_logs_in_each_time_is_left_alone() -> None:
    day = [each for hour in range(12) for each in (*every(20, 2, start=hour * HOUR), success(hour * HOUR + 60))]
    assert not detections(day)


def test_a_web_login_ends_a_row_of_failures_as_well() -> None:
    def web(seconds: float, status: int) -> Event:
        return request(seconds, "/api/auth/token", status, method="POST")

    refused = [web(hour * HOUR, 401) for hour in range(6)]
    assert detections(refused)
    assert not detections([*refused[:3], web(2.5 * HOUR, 200), *refused[3:]])


def test_the_login_of_another_source_excuses_nobody() -> None:
    assert detections([*every(15 * MINUTE, 4), success(HOUR - 1, "192.0.2.2"), failure(HOUR)])


def test_a_login_that_patience_has_earned_is_told_and_graver() -> None:
    (found,) = detections([*every(HOUR, 6), success(6 * HOUR, user="alice")])
    assert (found.severity, found.evidence["logins_after"], found.count) == (Severity.HIGH, {"alice": 1}, 6)
    assert "login succeeded" in found.description


def test_ipv6_is_grouped_by_64_bits() -> None:
    (found,) = detections([failure(hour * HOUR, f"2001:db8:0:1::{hour:x}") for hour in range(5)])
    assert found.subject == "2001:db8:0:1::/64"
    assert not detections([failure(hour * HOUR, f"2001:db8:0:{hour:x}::1") for hour in range(9)])


def test_an_attack_of_days_is_one_detection() -> None:
    (found,) = detections(every(3 * HOUR, 100))
    assert (found.count, found.first_seen, found.last_seen) == (100, at(0), at(297 * HOUR))


def test_a_finished_attack_is_reported_before_the_end_of_the_stream() -> None:
    detector = LowAndSlowDetector()
    for event in every(HOUR, 6):
        assert not detector.observe(event)
    assert [found.subject for found in detector.observe(failure(40 * HOUR, "192.0.2.9"))] == ["192.0.2.1"]


def test_lines_too_late_are_ignored_and_counted() -> None:
    detector = LowAndSlowDetector(lateness=timedelta(seconds=60))
    for time in (30 * HOUR, 30 * HOUR - 24 * HOUR - 61):
        assert not detector.observe(failure(time))
    assert detector.late == 1


def test_a_source_that_the_brute_force_rule_reports_is_not_told_again_whenever_that_was() -> None:
    both = every(HOUR, 12, "192.0.2.1")
    days_later = every(1, 5, "192.0.2.1", start=90 * HOUR)
    patient = every(HOUR, 12, "192.0.2.2")
    events = sorted([*both, *days_later, *patient], key=lambda event: event.time)
    found = analyse(events, [LowAndSlowDetector(), BruteForceDetector()]).detections
    assert subjects(found, "brute_force") == {"192.0.2.1"}
    assert subjects(found, "low_and_slow") == {"192.0.2.2"}


def test_without_the_brute_force_rule_it_tells_of_all() -> None:
    found = analyse([*every(1, 5), *every(HOUR, 5, start=HOUR)], [LowAndSlowDetector()]).detections
    assert subjects(found, "low_and_slow") == {"192.0.2.1"}


def test_sources_are_held_up_to_a_bound() -> None:
    detector = LowAndSlowDetector(max_sources=50)
    for number in range(2_000):
        detector.observe(failure(number, f"10.0.{number // 256}.{number % 256}"))
    assert len(detector._sources) <= 50


def patient(times: list[int]) -> bool:
    """The definition, counted plainly."""
    return any(
        last - first >= HOUR and sum(first <= time <= last for time in times) >= 5
        for first in times
        for last in times
        if last - first <= 24 * HOUR
    )


@given(st.lists(st.integers(0, 60 * 60), max_size=30))  # minutes
@example([0, 1, 2, 3, 60])
@example([0, 1, 2, 3, 59])
@settings(deadline=None)
def test_exactly_those_are_reported_whom_a_plain_count_finds(minutes: list[int]) -> None:
    times = sorted(minute * MINUTE for minute in minutes)
    found = detections([failure(time) for time in times])
    assert bool(found) == patient(times)
    assert sum(detection.count for detection in found) <= len(times)
