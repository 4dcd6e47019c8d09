"""Password spraying: many users, one source."""

from __future__ import annotations

from log_samples import at, failure, success

from securenet.logs.detectors import Detection, PasswordSprayDetector, Severity
from securenet.logs.parsers import Event


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = PasswordSprayDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def test_ten_users_from_one_source_are_a_spray_and_nine_are_not() -> None:
    assert not detections([failure(number * 60, user=f"u{number}") for number in range(9)])
    (found,) = detections([failure(number * 60, user=f"u{number}") for number in range(10)])
    assert (found.subject, found.severity, found.count) == ("192.0.2.1", Severity.HIGH, 10)
    assert (found.first_seen, found.last_seen) == (at(0), at(540))
    assert (found.evidence["distinct_users"], found.evidence["attempts_per_user"]) == (10, 1.0)


def test_many_guesses_for_few_users_are_no_spray() -> None:
    assert not detections([failure(number, user=f"u{number % 9}") for number in range(500)])


def test_many_sources_with_a_user_each_are_no_spray() -> None:
    assert not detections([failure(number, f"192.0.2.{number}", f"u{number}") for number in range(200)])


def test_users_spread_over_days_are_no_spray() -> None:
    assert not detections([failure(number * 1000, user=f"u{number}") for number in range(100)])


def test_a_gateway_where_many_users_log_in_is_no_spray() -> None:
    assert not detections([success(number, user=f"u{number}") for number in range(100)])


def test_a_huge_spray_is_counted_up_to_a_bound_and_says_so() -> None:
    (found,) = detections([failure(number, user=f"u{number}") for number in range(1500)])
    assert found.count == 1500
    assert "at least 100 different users" in found.description
    assert len(found.evidence["users"]) <= 20
