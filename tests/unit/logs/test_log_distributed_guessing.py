"""Many sources, one user."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import at, failure, success

from securenet.logs.detectors import Detection, DistributedGuessingDetector, Severity
from securenet.logs.parsers import Event

HOUR = 3600


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = DistributedGuessingDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def from_everywhere(sources: int, step: float = 60, user: str = "root") -> list[Event]:
    return [failure(number * step, f"192.0.2.{number}", user) for number in range(sources)]


def test_ten_sources_in_an_hour_are_an_attack_and_nine_are_not() -> None:
    assert not detections(from_everywhere(9))
    (found,) = detections(from_everywhere(10))
    assert (found.detector, found.subject, found.count, found.severity) == (
        "distributed_guessing",
        "root",
        10,
        Severity.MEDIUM,
    )
    assert (found.first_seen, found.last_seen) == (at(0), at(540))
    assert (found.evidence["distinct_sources"], found.evidence["attempts_per_source"]) == (10, 1.0)


def test_the_hour_includes_both_ends() -> None:
    assert detections(from_everywhere(10, step=HOUR / 9))
    assert not detections(from_everywhere(10, step=(HOUR + 1) / 9))


def test_few_sources_are_no_crowd_however_often_they_try() -> None:
    assert not detections([failure(number, f"192.0.2.{number % 9}") for number in range(900)])


def test_users_are_counted_apart() -> None:
    assert not detections([failure(number, f"192.0.2.{number}", f"user{number % 20}") for number in range(180)])


def test_a_network_of_ipv6_is_one_source() -> None:
    assert not detections([failure(number, f"2001:db8::{number:x}") for number in range(100)])
    assert detections([failure(number, f"2001:db8:0:{number:x}::1") for number in range(10)])


def test_logins_of_one_user_from_everywhere_are_no_guessing() -> None:
    assert not detections([success(number, f"192.0.2.{number}") for number in range(100)])


def test_a_huge_crowd_is_counted_up_to_a_bound_and_says_so() -> None:
    (found,) = detections([failure(number, f"10.0.{number // 256}.{number % 256}") for number in range(1_500)])
    assert found.count == 1_500
    assert "at least 100 different sources" in found.description
    assert len(found.evidence["sources"]) <= 20


def test_invented_names_are_held_up_to_a_bound() -> None:
    detector = DistributedGuessingDetector(max_users=50)
    for number in range(2_000):
        detector.observe(failure(number, user=f"user{number}"))
    assert len(detector._users) <= 50


@given(st.lists(st.tuples(st.integers(0, 180), st.integers(0, 5), st.sampled_from("ab")), max_size=40))
@settings(deadline=None)
def test_exactly_those_users_are_reported_whom_a_plain_count_finds(stream: list[tuple[int, int, str]]) -> None:
    stream.sort()
    found = detections([failure(m * 60, f"192.0.2.{source}", user) for m, source, user in stream], threshold=4)
    truth = {
        user
        for begin, _, user in stream
        if len({other for time, other, who in stream if who == user and begin <= time <= begin + 60}) >= 4
    }
    assert {detection.subject for detection in found} == truth
