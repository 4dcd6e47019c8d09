"""One source, many names that do not exist."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import at, event, failure, parsed, sshd_line

from securenet.logs.detectors import Detection, Severity, UserEnumerationDetector
from securenet.logs.parsers import Event, Kind

HOUR = 3600


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = UserEnumerationDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def unknown(seconds: float, user: str, source: str = "192.0.2.1") -> Event:
    return event(seconds, Kind.AUTH_INVALID_USER, source, user, pid=f"{seconds}")


def names(number: int, step: float = 60) -> list[Event]:
    return [unknown(each * step, f"user{each}") for each in range(number)]


def test_five_unknown_names_are_a_search_and_four_are_not() -> None:
    assert not detections(names(4))
    (found,) = detections(names(5))
    assert (found.detector, found.subject, found.count, found.severity) == (
        "user_enumeration",
        "192.0.2.1",
        5,
        Severity.LOW,
    )
    assert (found.first_seen, found.last_seen) == (at(0), at(240))
    assert (found.evidence["distinct_users"], list(found.evidence["users"])) == (5, [f"user{n}" for n in range(5)])


def test_the_hour_includes_both_ends() -> None:
    assert detections(names(5, step=HOUR / 4))
    assert not detections(names(5, step=HOUR / 4 + 1))


def test_a_long_list_is_graver() -> None:
    assert [detections(names(number))[0].severity for number in (19, 20)] == [Severity.LOW, Severity.MEDIUM]


def test_names_that_exist_do_not_count() -> None:
    assert not detections([failure(number, user=f"user{number}") for number in range(50)])


def test_the_same_wrong_name_again_and_again_is_no_search() -> None:
    assert not detections([unknown(number, f"user{number % 4}") for number in range(100)])


def test_the_names_of_many_sources_are_no_search() -> None:
    assert not detections([unknown(number, f"user{number}", f"192.0.2.{number}") for number in range(100)])


def test_the_lines_of_one_attempt_are_one_attempt() -> None:
    lines = [
        sshd_line(number, message, pid=100 + number)
        for number in range(6)
        for message in (
            f"Invalid user u{number} from 192.0.2.1 port 5",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 ",
            f"Failed password for invalid user u{number} from 192.0.2.1 port 5 ssh2",
            f"Connection closed by invalid user u{number} 192.0.2.1 port 5 [preauth]",
        )
    ]
    (found,) = detections([parsed(line) for line in lines])
    assert (found.count, found.evidence["distinct_users"]) == (6, 6)


def test_servers_that_say_it_only_in_the_failure_are_understood() -> None:
    assert detections([failure(number, user=f"u{number}", unknown_user="true") for number in range(5)])


def test_a_dictionary_is_counted_up_to_a_bound_and_says_so() -> None:
    (found,) = detections(names(500, step=1))
    assert found.count == 500
    assert found.description.startswith("At least 100 different users")


def test_sources_are_held_up_to_a_bound() -> None:
    detector = UserEnumerationDetector(max_sources=50)
    for number in range(2_000):
        detector.observe(unknown(number, "x", f"10.0.{number // 256}.{number % 256}"))
    assert len(detector._sources) <= 50


@given(st.lists(st.tuples(st.integers(0, 180), st.sampled_from("abcdefgh"), st.booleans()), max_size=40))
@settings(deadline=None)
def test_exactly_the_searches_of_a_plain_count_are_reported(stream: list[tuple[int, str, bool]]) -> None:
    stream.sort()
    events = [unknown(m * 60, name) if is_unknown else failure(m * 60, user=name) for m, name, is_unknown in stream]
    truth = any(
        len({name for time, name, is_unknown in stream if is_unknown and begin <= time <= begin + 60}) >= 5
        for begin, _, _ in stream
    )
    assert bool(detections(events)) == truth
