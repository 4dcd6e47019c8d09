"""Bursts of server errors, by program."""

from __future__ import annotations

import pytest
from log_samples import event, parsed, request

from securenet.logs.detectors import Detection, ErrorBurstDetector
from securenet.logs.parsers import Event, Kind


def detections(events: list[Event]) -> list[Detection]:
    detector = ErrorBurstDetector()
    found = [detection for each in events for detection in detector.observe(each)]
    return [*found, *detector.finish()]


def test_fifty_server_errors_in_a_minute_are_a_burst_and_49_are_not() -> None:
    assert not detections([request(number, "/x", 500) for number in range(49)])
    (found,) = detections([request(number, "/x", 500 + number % 4) for number in range(50)])
    assert (found.subject, found.count) == ("web1 http", 50)
    assert found.evidence["paths"] == {"/x": 50}
    assert set(found.evidence["statuses"]) == {"500", "501", "502", "503"}


@pytest.mark.parametrize("status", [200, 302, 404, 429])
def test_other_answers_are_no_errors(status: int) -> None:
    assert not detections([request(number / 10, "/x", status) for number in range(500)])


def test_logged_errors_count_by_their_level() -> None:
    assert detections([event(number, Kind.OTHER, None, level="error") for number in range(50)])
    assert not detections([event(number, Kind.OTHER, None, level="warning") for number in range(500)])


def test_levels_are_understood_from_syslog() -> None:
    assert detections([parsed(f"<3>Nov 20 08:00:{second:02d} h kernel: oops") for second in range(50)])
