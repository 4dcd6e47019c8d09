"""The whole way from lines to a report: generated logs, a real one, and bounds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from log_samples import NOW, LogSample, at, event, failure, log_sample, request, subjects
from sshd_log_by_hand import attempts_by_hand, brute_forcers_by_hand, patient_guessers_by_hand, real_log

from securenet.logs import analysis
from securenet.logs.analysis import AnalysisReport, analyse
from securenet.logs.detectors import AttemptCounter, BruteForceDetector, Severity, default_detectors
from securenet.logs.parsers import Kind, parse_lines


def report_of(lines: list[str] | list[bytes]) -> AnalysisReport:
    return analyse(parse_lines(lines, now=NOW, default_timezone=UTC))


def expected_brute_forcers(sample: LogSample) -> set[str]:
    return {source if ":" not in source else "2001:db8:bad::/64" for source in sample.brute_forcers}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shuffled_within", [0.0, 20.0])
def test_every_known_attacker_is_named_and_nobody_else(seed: int, shuffled_within: float) -> None:
    sample = log_sample(seed)
    report = report_of(sample.lines(shuffled_within))
    assert subjects(report.detections, "brute_force") == expected_brute_forcers(sample)
    assert subjects(report.detections, "password_spray") == sample.sprayers
    assert subjects(report.detections, "path_scan") == sample.scanners
    logins = [found for found in report.detections if found.detector == "login_after_failures"]
    assert {(found.subject, found.evidence["user"]) for found in logins} == sample.intruders
    assert all(found.severity is Severity.CRITICAL for found in logins)
    assert report.late == 0


@pytest.mark.parametrize("seed", range(5))
def test_benign_traffic_yields_nothing(seed: int) -> None:
    report = report_of(log_sample(seed, attackers=False, benign=60).lines())
    assert report.events > 2000
    assert report.detections == ()


def test_the_report_counts_kinds_and_sources_and_spans_the_times() -> None:
    events = [
        failure(5),
        failure(1),
        event(9, Kind.OTHER, None),
        request(3, "/", 200, "192.0.2.2"),
        failure(4),
    ]
    report = analyse(iter(events))
    assert (report.events, report.first, report.last) == (5, at(1), at(9))
    assert report.by_kind == {"auth.failure": 3, "other": 1, "http.request": 1}
    assert report.by_source == (("192.0.2.1", 3), ("192.0.2.2", 1))


def test_no_events_make_an_empty_report() -> None:
    assert analyse([]) == AnalysisReport(0, {}, (), (), None, None)


def test_episodes_of_one_source_are_one_detection() -> None:
    events = [failure(start + number) for start in (0, 5000, 10_000) for number in range(6)]
    (found,) = analyse(events, [BruteForceDetector()]).detections
    assert (found.episodes, found.count, found.first_seen, found.last_seen) == (3, 18, at(0), at(10_005))


def test_the_gravest_detection_comes_first() -> None:
    ranks = [found.severity.rank for found in report_of(log_sample(1).lines()).detections]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > ranks[-1]


def test_the_same_lines_give_the_same_report() -> None:
    lines = log_sample(2).lines()
    assert report_of(lines) == report_of(lines)


def test_detectors_that_share_a_counter_find_what_detectors_alone_find() -> None:
    lines = log_sample(3).lines()
    alone = [type(detector)() for detector in default_detectors()]
    assert analyse(parse_lines(lines, now=NOW, default_timezone=UTC), alone) == report_of(lines)


def test_events_that_come_too_late_are_reported_as_such() -> None:
    assert analyse([failure(5000), failure(0)], [BruteForceDetector()]).late == 1


def test_frequent_sources_are_found_among_more_sources_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MAX_COUNTED_SOURCES", 100)
    crowd = [event(0, Kind.OTHER, f"10.0.{number // 256}.{number % 256}") for number in range(5000)]
    busy = [event(0, Kind.OTHER, "192.0.2.1")] * 500
    mixed = [
        each for number, one in enumerate(crowd) for each in ([one, busy[number // 10]] if number % 10 == 0 else [one])
    ]
    assert analyse(mixed, []).by_source[0] == ("192.0.2.1", 500)


def test_detections_beyond_the_bound_are_counted_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MAX_DETECTIONS", 10)
    events = [failure(number, f"192.0.2.{source}") for source in range(15) for number in range(5)]
    report = analyse(events, [BruteForceDetector()])
    assert (len(report.detections), report.dropped_detections) == (10, 5)


def test_events_that_come_back_from_storage_as_plain_text_give_the_same_report() -> None:
    lines = log_sample(4).lines()
    events = list(parse_lines(lines, now=NOW, default_timezone=UTC))
    stored = [replace(each, kind=str.__str__(each.kind), fields=json.loads(json.dumps(each.fields))) for each in events]
    assert type(stored[0].kind) is str
    assert analyse(stored) == analyse(events)


# A real log: two thousand lines of a server under attack (Loghub, OpenSSH_2k).


BRUTE_FORCE_SOURCES = {
    "5.36.59.76",
    "5.188.10.180",
    "60.2.12.12",
    "103.99.0.122",
    "106.5.5.195",
    "112.95.230.3",
    "119.4.203.64",
    "123.235.32.19",
    "183.62.140.253",
    "185.190.58.151",
    "187.141.143.180",
}


def counts(report: AnalysisReport, detector: str) -> dict[str, int]:
    return {found.subject: found.count for found in report.detections if found.detector == detector}


def test_the_brute_force_sources_of_a_real_log_and_their_attempts_are_exactly_those_counted_by_hand() -> None:
    lines = real_log()
    by_hand = brute_forcers_by_hand(attempts_by_hand(lines))
    assert set(by_hand) == BRUTE_FORCE_SOURCES
    assert counts(report_of(lines), "brute_force") == by_hand


def test_the_patient_sources_of_a_real_log_and_their_attempts_are_exactly_those_counted_by_hand() -> None:
    lines = real_log()
    by_hand = patient_guessers_by_hand(attempts_by_hand(lines))
    assert set(by_hand) == {"52.80.34.196"}
    assert counts(report_of(lines), "low_and_slow") == by_hand


def test_nobody_is_named_in_a_real_log_who_made_no_attempt() -> None:
    lines = real_log()
    assert {found.subject for found in report_of(lines).detections} <= set(attempts_by_hand(lines))


def test_the_attempts_of_every_source_of_a_real_log_are_exactly_those_counted_by_hand() -> None:
    lines = real_log()
    counter, attempts = AttemptCounter(), Counter()
    for each in parse_lines(lines, now=NOW, default_timezone=UTC):
        if added := counter.attempts(each):
            attempts[each.source_ip] += added
    assert attempts == {source: len(times) for source, times in attempts_by_hand(lines).items()}


def test_a_real_log_is_understood_line_by_line() -> None:
    report = report_of(real_log())
    assert report.by_kind == {
        "auth.failure": 524,
        "auth.pam_failure": 504,
        "connection.closed": 502,
        "other": 256,
        "auth.invalid_user": 113,
        "connection.suspect": 85,
        "connection.probe": 10,
        "auth.max_attempts": 3,
        "auth.success": 1,
        "session.opened": 1,
        "session.closed": 1,
    }
    assert (report.first, report.last) == (
        datetime(2025, 12, 10, 6, 55, 46, tzinfo=UTC),
        datetime(2025, 12, 10, 11, 4, 45, tzinfo=UTC),
    )
    assert not subjects(report.detections, "login_after_failures")
    assert report.late == 0
