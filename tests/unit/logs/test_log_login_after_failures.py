"""A success after a burst of failures: the one detection that cannot wait."""

from __future__ import annotations

import pytest
from log_samples import at, failure, parsed, request, sshd_line, success

from securenet.logs.detectors import Detection, LoginAfterFailuresDetector, Severity
from securenet.logs.parsers import Event


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = LoginAfterFailuresDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def test_a_login_after_five_failures_is_critical_and_reported_at_once() -> None:
    detector = LoginAfterFailuresDetector()
    for number in range(5):
        assert not detector.observe(failure(number))
    (found,) = detector.observe(success(10))
    assert (found.severity, found.subject, found.count) == (Severity.CRITICAL, "192.0.2.1", 5)
    assert (found.first_seen, found.last_seen) == (at(0), at(10))
    assert (found.evidence["user"], found.evidence["user_was_tried"]) == ("root", True)


@pytest.mark.parametrize(
    "events",
    [
        [*[failure(number) for number in range(4)], success(10)],
        [success(0), *[failure(10 + number) for number in range(20)]],
        [*[failure(number) for number in range(20)], success(700)],
        [*[failure(number) for number in range(20)], success(30, "192.0.2.2")],
        [*[failure(number, f"192.0.2.{number}") for number in range(20)], success(30)],
    ],
    ids=["too few", "success first", "long ago", "elsewhere", "from everywhere"],
)
def test_other_logins_are_left_alone(events: list[Event]) -> None:
    assert not detections(events)


def test_logging_in_again_is_no_second_detection() -> None:
    events = [*[failure(number) for number in range(9)], success(10), success(20), success(30)]
    assert len(detections(events)) == 1


def test_each_account_taken_is_a_matter_of_its_own() -> None:
    burst = [failure(number) for number in range(5)]
    again = [failure(100 + number) for number in range(5)]
    first, second = detections([*burst, success(10, user="alice"), *again, success(110, user="bob")])
    assert first.fingerprint != second.fingerprint


def test_the_same_64_bits_of_ipv6_are_one_source() -> None:
    events = [*[failure(number, f"2001:db8::{number}") for number in range(5)], success(10, "2001:db8::ffff")]
    assert [found.subject for found in detections(events)] == ["2001:db8::/64"]


def test_failures_that_arrive_after_the_success_they_precede_count() -> None:
    late = [*[failure(number) for number in range(3)], success(10), failure(8), failure(9)]
    assert len(detections(late)) == 1


def test_failures_after_a_success_do_not_accuse_it() -> None:
    assert not detections([*[failure(number) for number in range(3)], success(10), failure(11), failure(12)])


def test_a_long_burst_is_counted_in_full() -> None:
    (found,) = detections([*[failure(number) for number in range(450)], success(500)])
    assert found.count == 450


def test_keys_offered_before_the_right_one_are_no_burst() -> None:
    keys = [
        parsed(sshd_line(number, f"Failed publickey for git from 192.0.2.1 port 5 ssh2: RSA SHA256:{number}"))
        for number in range(20)
    ]
    assert not detections([*keys, parsed(sshd_line(30, "Accepted publickey for git from 192.0.2.1 port 5 ssh2"))])


def test_a_web_login_is_watched_like_any_other() -> None:
    refused = [request(number, "/api/auth/token", 401, method="POST") for number in range(5)]
    (found,) = detections([*refused, request(10, "/api/auth/token", 200, method="POST")])
    assert found.severity is Severity.CRITICAL
