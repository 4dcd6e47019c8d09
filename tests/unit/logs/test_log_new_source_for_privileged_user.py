"""The first login of a privileged user from somewhere new."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import at, failure, success

from securenet.logs.detectors import Detection, NewSourceForPrivilegedUserDetector, PastLogins, Severity
from securenet.logs.parsers import Event

DAY = 24 * 3600
WEEK = 7 * DAY
HOME, AWAY = "192.0.2.1", "198.51.100.1"


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = NewSourceForPrivilegedUserDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


def test_a_new_network_after_the_learning_period_is_reported_at_once_and_only_once() -> None:
    detector = NewSourceForPrivilegedUserDetector()
    assert not detector.observe(success(0, HOME))
    (found,) = detector.observe(success(WEEK, AWAY))
    assert (found.detector, found.subject, found.severity) == (
        "new_source_for_privileged_user",
        "198.51.100.0/24",
        Severity.HIGH,
    )
    assert (found.evidence["user"], found.evidence["address"], found.evidence["known_networks"]) == ("root", AWAY, 1)
    assert found.first_seen == found.last_seen == at(WEEK)
    assert not detector.observe(success(WEEK + 1, AWAY))
    assert not detector.finish()


def test_within_the_learning_period_networks_are_learnt() -> None:
    assert not detections([success(0, HOME), success(WEEK - 1, AWAY), success(WEEK, AWAY)])


def test_the_learning_period_begins_with_the_oldest_line_whoever_wrote_it() -> None:
    assert detections([failure(0, "203.0.113.9", "nobody"), success(WEEK, HOME)])
    assert not detections([success(WEEK, HOME)])


def test_neighbours_of_a_known_address_are_known() -> None:
    assert not detections([success(0, "192.0.2.1"), success(WEEK, "192.0.2.254")])
    assert not detections([success(0, "2001:db8:1::1"), success(WEEK, "2001:db8:1:ffff::1")])
    assert detections([success(0, "192.0.2.1"), success(WEEK, "192.0.3.1")])
    assert detections([success(0, "2001:db8:1::1"), success(WEEK, "2001:db8:2::1")])


def test_what_one_user_does_says_nothing_about_another() -> None:
    assert detections([success(0, HOME, "admin"), success(WEEK, HOME, "root")])


@pytest.mark.parametrize(
    "event",
    [
        success(WEEK, AWAY, "alice"),
        failure(WEEK, AWAY, "root"),
        success(WEEK, "127.0.0.1"),
        success(WEEK, "::1"),
        success(WEEK, None),
    ],
    ids=["no privilege", "refused", "itself", "itself by IPv6", "from nowhere"],
)
def test_others_are_left_alone(event: Event) -> None:
    assert not detections([success(0, HOME), event])


def test_the_users_are_a_parameter() -> None:
    events = [success(0, HOME, "alice"), success(WEEK, AWAY, "alice"), success(WEEK, AWAY, "root")]
    assert [found.evidence["user"] for found in detections(events, users=["alice"])] == ["alice"]


def test_a_key_is_less_grave_than_a_password() -> None:
    with_key = success(WEEK, AWAY)
    with_key.fields["method"] = "publickey"
    assert [found.severity for found in detections([success(0, HOME), with_key])] == [Severity.MEDIUM]


def test_what_came_before_the_events_is_known() -> None:
    past = PastLogins(since=at(-WEEK), logins=[("root", HOME), ("alice", AWAY)])
    found = detections([success(0, HOME), success(1, AWAY)], past=past)
    assert [detection.subject for detection in found] == ["198.51.100.0/24"]


def test_networks_are_remembered_up_to_a_bound_and_those_in_use_stay() -> None:
    detector = NewSourceForPrivilegedUserDetector(max_networks=10, learning=timedelta(0))
    detector.observe(success(0, HOME))
    for number in range(100):
        assert detector.observe(success(number, f"10.0.{number}.1"))
        assert not detector.observe(success(number, HOME))
    assert len(detector._known["root"]) == 10


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 4), st.sampled_from(["root", "admin", "bob"]))))
@settings(deadline=None)
def test_exactly_the_first_logins_of_a_plain_count_are_reported(logins: list[tuple[int, int, str]]) -> None:
    logins.sort(key=lambda login: login[0])
    found = detections([success(day * DAY, f"192.0.{place}.1", user) for day, place, user in logins])
    truth = [
        (f"192.0.{place}.0/24", user)
        for number, (day, place, user) in enumerate(logins)
        if user != "bob"
        and day >= logins[0][0] + 7
        and (place, user) not in [(known, who) for _, known, who in logins[:number]]
    ]
    assert [(detection.subject, detection.evidence["user"]) for detection in found] == truth
