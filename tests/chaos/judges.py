"""Judges what the recorders saw. Pure: records in, verdicts out.

A request was decided somewhere between its beginning and its end. What is called a violation here is one wherever in
there the decisions were, so a slow recorder raises no false alarm.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.answers import SECOND, Answer
from tests.chaos.editor import ROLLED_BACK, Edit
from tests.chaos.limiters import MakeLimiter, Span

CLOCK_GRAIN = 1_000  # nanoseconds; Redis counts microseconds
REACH = 60 * SECOND  # longer than any period under load


@dataclass(frozen=True, slots=True)
class Usage:
    """How the clients of a limit fared together; ``allowance`` is what an exact log admits of the same requests.

    ``surplus`` were admitted over the limit, ``needless`` were refused though the limit was not used up.
    """

    clients: int
    asked: int
    admitted: int
    allowance: int
    surplus: int
    needless: int

    @property
    def share(self) -> float:
        """What was admitted, as a part of what could have been."""
        return self.admitted / self.allowance


def surplus(admitted: Iterable[Span], make_limiter: MakeLimiter) -> int:
    """How many requests of one client were admitted over its limit, at least.

    Whatever the order of the decisions, the n-th of them was made no earlier than the n-th beginning and no later than
    the n-th end. Each is put as early as this and the limit permit; where that is after its latest time, it is one too
    many. So an excess far smaller than the uncertainty of a single time shows as soon as it adds up.
    """
    spans = list(admitted)
    limiter, over = make_limiter(), 0
    begun, ended = sorted(span.started for span in spans), sorted(span.ended for span in spans)
    for earliest, latest in zip(begun, ended, strict=True):
        decided = limiter.earliest(earliest)
        if decided > latest:
            over += 1
        else:
            limiter.admit(decided)
    return over


def needless(refused: Iterable[Span], admitted: Iterable[Span], make_limiter: MakeLimiter) -> int:
    """How many requests of one client were refused while its limit had room, wherever in their spans all were decided.

    What matters for a refusal is not long ago: admissions of the last `REACH` before it are looked at.
    """
    limiter, counted = make_limiter(), sorted(admitted, key=lambda span: span.started)
    begun = [span.started for span in counted]
    return sum(
        not limiter.may_refuse(
            span, counted[bisect_left(begun, span.started - REACH) : bisect_left(begun, span.ended + 1)]
        )
        for span in refused
    )


def allowance(asked: Iterable[Span], make_limiter: MakeLimiter) -> int:
    """How many of one client's requests an exact limiter admits that decides each in the middle of its span."""
    limiter, admitted = make_limiter(), 0
    for at in sorted((span.started + span.ended) // 2 for span in asked):
        if limiter.earliest(at) <= at:
            limiter.admit(at)
            admitted += 1
    return admitted


def usage(answers: Iterable[Answer], make_limiter: MakeLimiter, epoch: int, drift: int) -> Usage:
    """Judge all clients of one limit. ``epoch`` and ``drift`` (nanoseconds) are those of the `Run`."""
    slack = drift + CLOCK_GRAIN
    asked: dict[int, list[Span]] = defaultdict(list)
    admitted: dict[int, list[Span]] = defaultdict(list)
    refused: dict[int, list[Span]] = defaultdict(list)
    for answer in answers:
        span = Span(answer.started + epoch - slack, answer.ended + epoch + slack)
        asked[answer.client].append(span)
        if answer.status in (200, 429):
            (admitted if answer.status == 200 else refused)[answer.client].append(span)
    return Usage(
        clients=len(asked),
        asked=sum(map(len, asked.values())),
        admitted=sum(map(len, admitted.values())),
        allowance=sum(allowance(spans, make_limiter) for spans in asked.values()),
        surplus=sum(surplus(spans, make_limiter) for spans in admitted.values()),
        needless=sum(needless(spans, admitted[client], make_limiter) for client, spans in refused.items()),
    )


@dataclass(frozen=True, slots=True)
class Obedience:
    """How requests followed the edits of a policy.

    ``compared`` began when at least one edit had returned; ``stale`` of them were decided by an older revision than
    the last that had; ``undecided`` show no limit; ``phantoms`` show one that was rolled back.
    """

    edits: int
    compared: int
    stale: int
    undecided: int
    phantoms: int


def obedience(answers: Iterable[Answer], edits: Sequence[Edit], policy: str, base: int) -> Obedience:
    """Judge whether each request saw every edit of ``policy`` that had returned before it began."""
    own = [edit for edit in edits if edit.policy == policy]
    returned = [edit.returned for edit in own]
    compared = stale = undecided = phantoms = 0
    for answer in answers:
        quota = answer.quota(policy)
        before = bisect_left(returned, answer.started)
        undecided += quota is None
        phantoms += quota is not None and quota >= ROLLED_BACK
        if before and quota is not None:
            compared += 1
            stale += quota < base + own[before - 1].number
    return Obedience(len(own), compared, stale, undecided, phantoms)


def percentile(seconds: Sequence[float], part: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan


def server_errors(answers: Iterable[Answer], denied: Callable[[Answer], bool]) -> list[Answer]:
    """The 5xx that should not be: all but 503 with Retry-After where a policy denies without Redis."""
    return [
        answer
        for answer in answers
        if answer.status >= 500 and not (answer.status == 503 and answer.retry_after.isdigit() and denied(answer))
    ]
