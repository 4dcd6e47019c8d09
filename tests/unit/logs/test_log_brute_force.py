"""Brute force: the threshold, the window, the subject, and what must stay silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from log_samples import at, failure, success

from securenet.logs.detectors import BruteForceDetector, Detection, Severity
from securenet.logs.parsers import Event


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = BruteForceDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def test_five_failures_in_ten_minutes_are_an_attack_and_four_are_not() -> None:
    assert not detections([failure(time * 150) for time in range(4)])
    (found,) = detections([failure(time * 150) for time in range(5)])
    assert (found.detector, found.subject, found.count, found.severity) == (
        "brute_force",
        "192.0.2.1",
        5,
        Severity.MEDIUM,
    )
    assert (found.first_seen, found.last_seen) == (at(0), at(600))


def test_five_failures_spread_wider_are_not() -> None:
    assert not detections([failure(time * 151) for time in range(40)])


@pytest.mark.parametrize(("threshold", "window"), [(3, 60), (10, 3600)])
def test_threshold_and_window_are_parameters(threshold: int, window: int) -> None:
    settings = {"threshold": threshold, "window": timedelta(seconds=window)}
    step = window / (threshold - 1)
    assert detections([failure(step * number) for number in range(threshold)], **settings)
    assert not detections([failure(step * number) for number in range(threshold - 1)], **settings)
    assert not detections([failure((step + 1) * number) for number in range(threshold * 3)], **settings)


def test_sources_are_counted_apart() -> None:
    assert not detections([failure(number, f"192.0.2.{number}") for number in range(100)])


def test_ipv6_is_grouped_by_64_bits() -> None:
    inside = [failure(number, f"2001:db8:0:1::{number:x}") for number in range(5)]
    (found,) = detections(inside)
    assert found.subject == "2001:db8:0:1::/64"
    assert len(found.evidence["addresses"]) == 5
    assert not detections([failure(number, f"2001:db8:0:{number:x}::1") for number in range(50)])


def test_the_evidence_names_users_hosts_and_the_rule() -> None:
    events = [failure(number, user=user) for number, user in enumerate(["root", "root", "admin", "x", "root"])]
    (found,) = detections(events)
    assert found.evidence["users"] == {"root": 3, "admin": 1, "x": 1}
    assert found.evidence["hosts"] == {"web1": 5}
    assert (found.evidence["threshold"], found.evidence["window_seconds"]) == (5, 600)


def test_a_long_attack_is_one_detection_that_grows_in_severity() -> None:
    (found,) = detections([failure(number * 5) for number in range(1000)])
    assert (found.count, found.severity) == (1000, Severity.HIGH)


def test_an_attack_after_a_pause_is_another_episode_of_the_same_matter() -> None:
    first, second = detections([failure(start + number) for start in (0, 5000) for number in range(6)])
    assert first.fingerprint == second.fingerprint
    merged = first.merged_with(second)
    assert (merged.count, merged.episodes, merged.first_seen, merged.last_seen) == (12, 2, at(0), at(5005))


def test_a_finished_episode_is_reported_before_the_end_of_the_stream() -> None:
    detector = BruteForceDetector()
    for number in range(5):
        assert not detector.observe(failure(number))
    assert [found.subject for found in detector.observe(failure(2000, "192.0.2.99"))] == ["192.0.2.1"]
    assert not detector.finish()


def test_fingerprints_tell_sources_apart_and_nothing_else() -> None:
    one, other = (
        detections([failure(number, source) for number in range(5)])[0] for source in ("192.0.2.1", "192.0.2.2")
    )
    later = detections([failure(90_000 + number) for number in range(70)])[0]
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == later.fingerprint
    assert one.severity is not later.severity


def test_lines_out_of_order_within_the_lateness_count() -> None:
    assert detections([failure(time) for time in (40, 10, 30, 0, 20)])


def test_lines_too_late_are_ignored_and_counted() -> None:
    detector = BruteForceDetector(lateness=timedelta(seconds=60))
    for time in (2000, 2001, 2002, 2003, 1339):
        assert not detector.observe(failure(time))
    assert detector.late == 1
    assert not detector.finish()


def test_successes_do_not_count() -> None:
    assert not detections([success(number) for number in range(50)])


def test_a_flood_of_other_sources_neither_grows_memory_nor_hides_an_attack() -> None:
    detector = BruteForceDetector(max_sources=100)
    flood = [failure(number / 20, f"10.0.{number // 256}.{number % 256}") for number in range(10_000)]
    found: list[Detection] = []
    for number, event in enumerate(flood):
        found += detector.observe(event)
        if number % 200 == 50:  # the attacker guesses every ten seconds, among 200 others
            found += detector.observe(failure(number / 20))
        assert len(detector._sources) <= 100
    found += detector.finish()
    assert [detection.subject for detection in found] == ["192.0.2.1"]


def test_of_more_attackers_than_fit_in_memory_many_are_still_named() -> None:
    sources = [f"10.0.{number // 256}.{number % 256}" for number in range(400)]
    events = [failure(number / 100, source) for number, source in enumerate(sources * 20)]
    assert len({detection.subject for detection in detections(events, max_sources=200)}) >= 100


def test_an_attack_pushed_out_of_memory_is_reported_then() -> None:
    detector = BruteForceDetector(max_sources=1)
    for number in range(5):
        assert not detector.observe(failure(number))
    assert [found.subject for found in detector.observe(failure(6, "192.0.2.2"))] == ["192.0.2.1"]
