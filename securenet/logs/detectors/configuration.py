"""What can be set of a detector, and detectors as they were set. Thresholds are found, and explained, where the
detectors declare them: a new one needs no entry here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Final

from securenet.logs.detectors.attempts import AttemptCounter
from securenet.logs.detectors.detection import Detector
from securenet.logs.detectors.new_source_for_privileged_user import PastLogins
from securenet.logs.detectors.registry import DETECTORS

MOST: Final = 1_000_000
LONGEST: Final = 31 * 24 * 3600  # seconds
# They bound memory, or follow from how logs arrive: not for people to set.
_FIXED: Final = ("max_", "lateness")
_TABLES: Final = ("max_sources", "max_users", "max_programs", "max_series")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One number that a detector can be given.

    Attributes:
        name: of the parameter.
        default: seconds where it is a time.
        is_time: whether it is one.
        help: what it does, in the words of the detector.
    """

    name: str
    default: int
    is_time: bool
    help: str

    @property
    def most(self) -> int:
        """The largest value that makes sense."""
        return LONGEST if self.is_time else MOST

    def problem_with(self, value: object) -> str:
        """What is wrong with a value; empty if nothing is."""
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= self.most:
            return f"{self.name} is {value!r}; give a whole number from 1 to {self.most}."
        return ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How detectors are set.

    Attributes:
        disabled: names of those that are off.
        thresholds: detector → threshold → value; times in seconds. What is not named has its default.
    """

    disabled: Collection[str] = frozenset()
    thresholds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@cache
def thresholds_of(name: str) -> tuple[Threshold, ...]:
    """What can be set of a detector, in the order of its parameters."""
    detector = DETECTORS[name]
    found = []
    for parameter in inspect.signature(detector).parameters.values():
        default = parameter.default
        if parameter.name.startswith(_FIXED) or not isinstance(default, int | timedelta) or isinstance(default, bool):
            continue
        is_time = isinstance(default, timedelta)
        seconds = int(default.total_seconds()) if is_time else default
        found.append(Threshold(parameter.name, seconds, is_time, _help(detector, parameter.name)))
    return tuple(found)


def summary_of(name: str) -> str:
    """What a detector reports, in its own words."""
    return " ".join((inspect.getdoc(DETECTORS[name]) or "").split("\n\n")[0].split()).replace("``", "")


def configured_detectors(configuration: Configuration, past: PastLogins | None = None) -> list[Detector]:
    """Fresh detectors, those that are off left out.

    Args:
        configuration: values out of range, and names nobody knows, are as good as not set.
        past: logins from before the events that will be looked at, where they are known.
    """
    shared = {"counter": AttemptCounter(), "past": past}
    return [
        _made(detector, configuration.thresholds.get(name, {}), shared)
        for name, detector in DETECTORS.items()
        if name not in configuration.disabled
    ]


def _made(detector: type[Detector], values: Mapping[str, int], shared: Mapping[str, Any]) -> Detector:
    parameters = inspect.signature(detector).parameters
    arguments = {name: value for name, value in shared.items() if name in parameters}
    for threshold in thresholds_of(detector.name):
        value = values.get(threshold.name)
        if value is not None and not threshold.problem_with(value):
            arguments[threshold.name] = timedelta(seconds=value) if threshold.is_time else value
            arguments |= _smaller_tables(parameters, threshold, value)
    return detector(**arguments)


def _smaller_tables(parameters: Mapping[str, inspect.Parameter], threshold: Threshold, value: int) -> dict[str, int]:
    """Up to its threshold a detector keeps what it counts one by one: with a higher one, of fewer at a time."""
    if threshold.name != "threshold" or value <= threshold.default:
        return {}
    tables = [name for name in _TABLES if name in parameters]
    return {name: max(100, parameters[name].default * threshold.default // value) for name in tables}


def _help(detector: type[Detector], name: str) -> str:
    found = re.search(rf"^ +{name}: (.+(?:\n {{8,}}.+)*)", inspect.getdoc(detector) or "", re.MULTILINE)
    return " ".join(found[1].split()).replace("``", "") if found else ""
