"""Floods of requests from one client."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import at, event, request

from securenet.logs.detectors import Detection, RequestBurstDetector, Severity
from securenet.logs.parsers import Event, Kind


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = RequestBurstDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def requests(number: int, step: float = 0.05, source: str = "192.0.2.1") -> list[Event]:
    return [request(each * step, f"/page{each % 30}", 200, source, agent="crawler") for each in range(number)]


def test_600_requests_in_a_minute_are_a_burst_and_599_are_not() -> None:
    assert not detections(requests(599))
    (found,) = detections(requests(600))
    assert (found.detector, found.subject, found.count, found.severity) == (
        "request_burst",
        "192.0.2.1",
        600,
        Severity.LOW,
    )
    assert (found.first_seen, found.last_seen) == (at(0), at(29))


def test_the_minute_includes_both_ends() -> None:
    quick, slow = ([request(each * length / 599, "/", 200) for each in range(600)] for length in (60, 61))
    assert detections(quick)
    assert not detections(slow)


def test_a_flood_is_graver() -> None:
    assert [detections(requests(n))[0].severity for n in (5_999, 6_000)] == [Severity.LOW, Severity.MEDIUM]


def test_a_visitor_who_stays_all_day_is_no_burst() -> None:
    assert not detections(requests(20_000, step=0.11))


def test_many_visitors_are_no_burst() -> None:
    assert not detections([request(number / 100, "/", 200, f"192.0.2.{number % 200}") for number in range(6_000)])


def test_other_lines_are_no_requests() -> None:
    assert not detections([event(number / 100, Kind.OTHER) for number in range(5_000)])
    assert not detections([request(number / 100, "/", 200, source=None) for number in range(5_000)])


def test_the_evidence_tells_what_was_asked_for_once_it_was_a_burst() -> None:
    (found,) = detections(requests(700))
    assert found.evidence["agents"] == {"crawler": 101}
    assert found.evidence["statuses"] == {"200": 101}
    assert (len(found.evidence["paths"]), found.evidence["more_paths"]) == (10, True)


def test_ipv6_is_grouped_by_64_bits() -> None:
    (found,) = detections([request(number / 20, "/", 200, f"2001:db8::{number:x}") for number in range(600)])
    assert found.subject == "2001:db8::/64"


def test_a_flood_takes_no_more_memory_than_a_trickle() -> None:
    detector = RequestBurstDetector(threshold=10**9)
    for each in requests(20_000, step=0.01):
        detector.observe(each)
    assert len(detector._sources.known("192.0.2.1").burst._pending) <= 121


def test_sources_are_held_up_to_a_bound() -> None:
    detector = RequestBurstDetector(max_sources=50)
    for number in range(2_000):
        detector.observe(request(0, "/", 200, f"10.0.{number // 256}.{number % 256}"))
    assert len(detector._sources) <= 50


def test_lines_too_late_are_ignored_and_counted() -> None:
    detector = RequestBurstDetector()
    for time in (1_000, 880, 879):
        detector.observe(request(time, "/", 200))
    assert detector.late == 1


@pytest.mark.parametrize("lateness", [0, 30])
@given(times=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 30)), max_size=40))
@settings(deadline=None)
def test_exactly_the_bursts_of_a_plain_count_are_reported(lateness: int, times: list[tuple[int, int]]) -> None:
    arrivals = sorted(times, key=lambda pair: pair[0] + min(pair[1], lateness))
    seconds = [time for time, _ in arrivals]
    found = detections([request(time, "/", 200) for time in seconds], threshold=6, lateness=timedelta(seconds=lateness))
    assert bool(found) == any(sum(begin <= time <= begin + 60 for time in seconds) >= 6 for begin in seconds)
