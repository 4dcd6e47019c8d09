"""What can be set of detectors, and that each of them obeys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from securenet.logs.detectors import DETECTORS, BruteForceDetector, Configuration, configured_detectors
from securenet.logs.detectors.configuration import LONGEST, MOST, summary_of, thresholds_of


def configured(name: str, **thresholds: Any) -> Any:
    (detector,) = (
        each for each in configured_detectors(Configuration(thresholds={name: thresholds})) if each.name == name
    )
    return detector


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_says_what_it_reports_and_what_can_be_set(name: str) -> None:
    assert summary_of(name).startswith("Reports ")
    thresholds = thresholds_of(name)
    assert thresholds
    for threshold in thresholds:
        assert threshold.help, f"{threshold.name} has no line in the docstring's Args"
        assert not threshold.problem_with(threshold.default)


def test_what_is_set_reaches_the_detector_and_the_rest_is_as_it_was() -> None:
    detector = configured("brute_force", threshold=3, window=60)
    assert (detector._threshold, detector._window) == (3, timedelta(seconds=60))
    assert detector._severe_from == BruteForceDetector()._severe_from


def test_one_that_is_off_is_left_out() -> None:
    left = configured_detectors(Configuration(disabled={"path_scan", "of the past"}))
    assert {detector.name for detector in left} == DETECTORS.keys() - {"path_scan"}


@pytest.mark.parametrize("value", [0, -1, MOST + 1, "5", None, 2.5, True, [5]])
def test_what_makes_no_sense_is_as_good_as_not_set(value: Any) -> None:
    assert configured("brute_force", threshold=value)._threshold == 5


def test_times_end_at_a_month() -> None:
    (window,) = (each for each in thresholds_of("brute_force") if each.name == "window")
    assert window.most == LONGEST
    assert configured("brute_force", window=LONGEST + 1)._window == timedelta(seconds=600)


def test_a_detector_that_keeps_more_of_each_source_follows_fewer() -> None:
    usual, high = configured("brute_force"), configured("brute_force", threshold=500)
    assert usual._sources._max_sources == 10_000
    assert high._sources._max_sources == 100
