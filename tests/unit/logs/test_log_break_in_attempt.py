"""What sshd itself warns of, and how little most of it means."""

from __future__ import annotations

import pytest
from log_samples import at, event, failure, parsed, sshd_line

from securenet.logs.detectors import BreakInAttemptDetector, Detection, Severity
from securenet.logs.parsers import Event, Kind

REVERSE = "reverse mapping checking getaddrinfo for ns.example.com [192.0.2.1] failed - POSSIBLE BREAK-IN ATTEMPT!"
FORWARD = (
    "Address 192.0.2.1 maps to www.example.com, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!"
)
NASTY = 'Nasty PTR record "198.51.100.7" is set up for 192.0.2.1, ignoring'


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = BreakInAttemptDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def warned(seconds: float, source: str = "192.0.2.1") -> Event:
    return event(seconds, Kind.CONNECTION_SUSPECT, source, warning="reverse mapping", name="ns.example.com")


@pytest.mark.parametrize(
    ("message", "severity", "warning", "name"),
    [
        (REVERSE, Severity.INFO, "reverse mapping", "ns.example.com"),
        (FORWARD, Severity.LOW, "forward mapping", "www.example.com"),
        (NASTY, Severity.MEDIUM, "address as name", "198.51.100.7"),
    ],
)
def test_each_warning_has_its_weight(message: str, severity: Severity, warning: str, name: str) -> None:
    (found,) = detections([parsed(sshd_line(5, message))])
    assert (found.detector, found.subject, found.count, found.severity) == (
        "break_in_attempt",
        "192.0.2.1",
        1,
        severity,
    )
    assert (found.evidence["warnings"], found.evidence["names"]) == ({warning: 1}, {name: 1})
    assert found.first_seen == found.last_seen == at(5)


def test_the_gravest_of_several_warnings_decides() -> None:
    (found,) = detections([parsed(sshd_line(number, each)) for number, each in enumerate((REVERSE, NASTY, FORWARD))])
    assert (found.count, found.severity) == (3, Severity.MEDIUM)


def test_a_warning_that_is_not_known_is_for_information() -> None:
    (found,) = detections([event(0, Kind.CONNECTION_SUSPECT, warning="something new")])
    assert found.severity is Severity.INFO


def test_without_a_warning_nobody_is_suspected() -> None:
    lines = [failure(number) for number in range(100)]
    assert not detections([*lines, event(0, Kind.CONNECTION_CLOSED), event(0, Kind.CONNECTION_SUSPECT, source=None)])


def test_warnings_of_one_hour_are_one_episode_and_a_later_one_is_another() -> None:
    (one,) = detections([warned(0), warned(3600)])
    assert one.count == 2
    first, second = detections([warned(0), warned(3601)])
    assert first.fingerprint == second.fingerprint


def test_ipv6_is_grouped_by_64_bits() -> None:
    (found,) = detections([warned(number, f"2001:db8::{number}") for number in range(5)])
    assert (found.subject, found.count) == ("2001:db8::/64", 5)


def test_sources_are_held_up_to_a_bound() -> None:
    detector = BreakInAttemptDetector(max_sources=50)
    found = [each for n in range(500) for each in detector.observe(warned(0, f"10.0.{n // 256}.{n % 256}"))]
    assert len(detector._sources) <= 50
    assert len(found) + len(list(detector.finish())) == 500
