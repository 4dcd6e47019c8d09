"""What a fault of Redis did to the requests around it. Pure: records in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.answers import SECOND, Answer
from tests.chaos.faults import Fault
from tests.chaos.judges import percentile, server_errors, usage
from tests.chaos.limiters import SlidingLog

PERIOD = 1
LOCAL_LIMIT = 16
HEALTHY_SECONDS = 2.0  # of the time before a fault
NOTICED_SECONDS = 1.0  # until then each process has had its one time-out
OPEN, CLOSED, LOCAL, CACHED = "/api/open", "/api/closed", "/api/local", "/api/cached/any"


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault that has happened, in nanoseconds of CLOCK_MONOTONIC.

    It ``began``; the save of an edit that set the limit of the policy "open" to ``quota`` had returned (``edited``);
    Redis was ``back``; and its time under observation was ``over``. ``editor_ended``: the process that had edited
    came to its end by itself.
    """

    fault: Fault
    quota: int
    began: int
    edited: int
    back: int
    over: int
    editor_ended: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.p50 * 1000:.1f}/{self.p99 * 1000:.1f}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How requests fared. Times in seconds after Redis was back (``obeyed``: and the edit was saved).

    ``errors``: 5xx that should not be. ``unlimited``: requests that no limit decided while the fault lasted.
    ``held``: when the last request was decided without Redis. ``obeyed``: when the last was that did not see the edit.
    ``blocked``: 429s after both; ``surplus``: requests over the limit after both, and ``local_surplus``: over that of
    the processes together while Redis was away.
    """

    requests: int
    statuses: dict[int, int]
    errors: list[Answer]
    longest: float
    healthy: Latency
    open: Latency
    after: Latency
    unlimited: int
    held: float
    obeyed: float
    blocked: int
    surplus: int
    local_surplus: int
    editor_ended: bool


def verdict(outage: Outage, answers: Sequence[Answer], epoch: int, drift: int) -> Verdict:
    """Judge one outage by all ``answers`` of the run; ``epoch`` and ``drift`` are the run's."""
    healthy = _between(answers, outage.began - round(HEALTHY_SECONDS * SECOND), outage.began)
    during = _between(answers, outage.began, outage.over)
    noticed = _between(answers, outage.began + round(NOTICED_SECONDS * SECOND), outage.back)
    without_redis = [answer for answer in during if _is_without_redis(answer)]
    unaware = [answer for answer in during if answer.path == OPEN and answer.quota("open") not in (None, outage.quota)]
    obeyed_from = max(outage.back, outage.edited)
    held = max([outage.back, *(answer.ended for answer in without_redis)])
    obeyed = max([obeyed_from, *(answer.started for answer in unaware)])
    after = _between(answers, max(held, obeyed) + 1, outage.over)
    limited = [answer for answer in after if answer.path == OPEN]
    local = [answer for answer in noticed if answer.path == LOCAL] if outage.fault.is_outage else []
    return Verdict(
        requests=len(during),
        statuses={status: sum(a.status == status for a in during) for status in sorted({a.status for a in during})},
        errors=server_errors(during, lambda answer: answer.path == CLOSED),
        longest=max(answer.seconds for answer in during),
        healthy=_latency(healthy),
        open=_latency(noticed),
        after=_latency(after),
        unlimited=sum(answer.path == OPEN for answer in without_redis),
        held=(held - outage.back) / SECOND,
        obeyed=(obeyed - obeyed_from) / SECOND,
        blocked=sum(answer.status == 429 for answer in limited),
        surplus=usage(limited, lambda: SlidingLog(outage.quota, PERIOD), epoch, drift).surplus,
        local_surplus=usage(local, lambda: SlidingLog(LOCAL_LIMIT, PERIOD), epoch, drift).surplus,
        editor_ended=outage.editor_ended,
    )


def _is_without_redis(answer: Answer) -> bool:
    """Whether ``on_store_error`` decided: "allow" shows no limit, "deny" is 503."""
    return (answer.path == OPEN and answer.status == 200 and not answer.limits) or answer.status == 503


def _between(answers: Sequence[Answer], begin: int, end: int) -> list[Answer]:
    return [answer for answer in answers if begin <= answer.started < end]


def _latency(answers: Sequence[Answer]) -> Latency:
    seconds = [answer.seconds for answer in answers]
    return Latency(percentile(seconds, 0.5), percentile(seconds, 0.99))
