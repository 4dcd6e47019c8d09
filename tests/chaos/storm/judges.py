"""Holds the record of a storm against the promises. Pure: a record in, violations out.

What was decided somewhere between a request's beginning and its end is called a violation only where it is one wherever
in there it was decided. Faults excuse only what the promise itself excuses, and only for as long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.answers import SECOND
from tests.chaos.editor import ROLLED_BACK
from tests.chaos.judges import CLOCK_GRAIN, surplus
from tests.chaos.limiters import SlidingLog, Span
from tests.chaos.storm import plan
from tests.chaos.storm.limits import LIMITS
from tests.chaos.storm.origins import OriginCall
from tests.chaos.storm.record import LOST, Exchange, Incident, Record

ENDED = {"completed", "failed", "cancelled"}
NOTICED = round(plan.NOTICED_SECONDS * SECOND)
CALM = round(plan.CALM_SECONDS * SECOND)
OPENED = SECOND // 2  # until then each process knows that Redis fails; after its time-out, where nothing answers


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept at a time, and how."""

    promise: str
    at: int
    what: str


Judge = Callable[[Record], Iterator[Violation]]


def live_policies(record: Record) -> Iterator[Violation]:
    """No request is decided by an older revision than that of an edit whose call had returned before it began."""
    returned = sorted((edit.returned, edit.number) for edit in record.edits if edit.returned)
    began = {edit.number: edit.began for edit in record.edits}
    current, index = 0, 0
    for exchange in _of(record, "open"):
        quota = exchange.answer().quota("open")
        while index < len(returned) and returned[index][0] < exchange.started:
            current, index = max(current, returned[index][1]), index + 1
        if quota is None:
            continue
        number = quota - plan.OPEN_BASE
        if quota >= ROLLED_BACK or began.get(number, 0) > exchange.ended:
            yield Violation("live policies", exchange.ended, f"limit {quota} was never committed")
        elif number < current and not _is_near(record, exchange, NOTICED, lambda it: it.touches_redis):
            yield Violation("live policies", exchange.ended, f"edit {current} had returned, {number} decided")


def exact_limits(record: Record) -> Iterator[Violation]:
    """No limit admits more than it says in any interval, while Redis keeps what it has counted."""
    for limit in LIMITS:
        by_client: dict[tuple[str, int], list[Exchange]] = defaultdict(list)
        for exchange in record.exchanges:
            if exchange.path == limit.path and exchange.status == 200:
                stretch = _stretch(record, exchange)
                if stretch is not None:
                    by_client[exchange.address, stretch].append(exchange)
        for (address, _), admitted in by_client.items():
            over = surplus([_span(record, exchange) for exchange in admitted], limit.textbook)
            if over:
                yield Violation(
                    "exact limits", _where(admitted, record, limit.textbook), f"{limit.path} {address}: {over} too many"
                )
    yield from _local_shares(record)


def _local_shares(record: Record) -> Iterator[Violation]:
    """While Redis is away, processes that count for themselves admit together no more than the limit."""
    for incident in record.incidents:
        if not incident.is_outage:
            continue
        begun = incident.began + OPENED + (round(plan.REDIS_TIMEOUT * SECOND) if incident.is_silent else 0)
        admitted: dict[str, list[Span]] = defaultdict(list)
        for exchange in _of(record, "local"):
            if exchange.status == 200 and begun <= exchange.started and exchange.ended < incident.back:
                admitted[exchange.address].append(_span(record, exchange))
        for address, spans in admitted.items():
            over = surplus(spans, lambda: SlidingLog(plan.LOCAL_LIMIT, plan.LOCAL_PERIOD))
            if over:
                yield Violation(
                    "exact limits", incident.began, f"{plan.LOCAL} {address}: {over} too many without Redis"
                )


def _stretch(record: Record, exchange: Exchange) -> int | None:
    """In which of the times between two losses of memory it was decided; None where that cannot be told."""
    number = 0
    for incident in record.incidents:
        if not incident.forgets or exchange.ended < incident.began:
            continue
        if exchange.started <= incident.back:
            return None
        number += 1
    return number


def _where(admitted: list[Exchange], record: Record, textbook: Callable[[], object]) -> int:
    """When the first request ended that was one too many."""
    for count in range(1, len(admitted) + 1):
        if surplus([_span(record, exchange) for exchange in admitted[:count]], textbook):  # type: ignore[arg-type]
            return admitted[count - 1].ended
    return admitted[-1].ended


def one_origin_call(record: Record) -> Iterator[Violation]:
    """An entry is computed once in its time, whoever asks. Whose process was killed leaves no entry."""
    by_key: dict[str, list[OriginCall]] = defaultdict(list)
    for call in record.origin_calls:
        by_key[call.key].append(call)
    for key, calls in by_key.items():
        for first, second in pairwise(calls):
            fresh_until = max(first.ended, first.began + plan.TTL * SECOND)
            if second.began < fresh_until and not _may_be_gone(record, first, second):
                early = (fresh_until - second.began) / SECOND
                yield Violation("one origin call", second.began, f"{key}: computed again {early:.2f} s too early")


def _may_be_gone(record: Record, first: OriginCall, second: OriginCall) -> bool:
    """Whether the entry of the first call could not be there for the second, or not be asked for."""
    ended = first.ended or second.began
    return any(
        ((it.touches_redis or it.hides_policies) and it.began <= second.began and first.began <= it.back + CALM)
        or (it.hits_web and it.began <= ended + SECOND and first.began <= it.back + CALM)
        for it in record.incidents
    )


def nobody_sees_anothers_data(record: Record) -> Iterator[Violation]:
    """A body speaks of the one who asked, or role, or everyone, as the policy has it; a foreign job is not there."""
    for exchange in record.exchanges:
        if exchange.kind == "foreign job":
            if exchange.status == 200:
                yield Violation("privacy", exchange.ended, f"{exchange.user} read the job of another: {exchange.path}")
            continue
        if exchange.status != 200 or not exchange.owner:
            continue
        entitled = {"role": exchange.role, "everyone": "everyone"}.get(exchange.kind, exchange.user)
        if exchange.owner != entitled:
            yield Violation(
                "privacy",
                exchange.started,
                f"{exchange.user} got {exchange.path} of {exchange.owner}: {exchange.cache}",
            )
    yield from _same_bytes(record)


def _same_bytes(record: Record) -> Iterator[Violation]:
    """All answers that come of one origin call have the same bytes."""
    digests: dict[str, str] = {}
    for exchange in record.exchanges:
        if exchange.call and digests.setdefault(exchange.call, exchange.digest) != exchange.digest:
            yield Violation("privacy", exchange.ended, f"{exchange.path}: two bodies of one origin call")


def redis_may_fail(record: Record) -> Iterator[Violation]:
    """No error but 503 by a policy, or of a database that is away; no lost connection; and nobody waits for long."""
    for exchange in record.exchanges:
        if wrong := _wrong_answer(record, exchange):
            yield Violation("answered", exchange.ended, f"{exchange.method} {exchange.path}: {wrong}")
        bound = plan.LONGEST_SECONDS
        if _is_near(record, exchange, CALM, lambda it: it.hits_database):
            bound += plan.DATABASE_SECONDS
        if exchange.seconds > bound:
            yield Violation("answered", exchange.ended, f"{exchange.path}: {exchange.seconds:.1f} s")


def _wrong_answer(record: Record, exchange: Exchange) -> str:
    """What is wrong with an answer; empty if nothing is."""
    is_undecided = _is_near(record, exchange, CALM, lambda it: it.touches_redis or it.hides_policies)
    denies = exchange.path in plan.LIMITED
    if exchange.status == LOST:
        return "" if _is_near(record, exchange, CALM, lambda it: it.hits_web) else f"no answer, {exchange.problem}"
    if exchange.status == 503:
        if not exchange.retry_after.isdigit():
            return "503 without Retry-After"
        if denies and is_undecided:
            return ""
        if exchange.problem == "Database unavailable":
            excused = _is_near(record, exchange, CALM, lambda it: it.hits_database)
        else:
            excused = exchange.problem == "Queue full"
        return "" if excused else f"503 {exchange.problem}"
    if exchange.status >= 500:
        return f"{exchange.status} {exchange.problem}"
    if exchange.status in (200, 429) and exchange.kind in ("open", "local", "limited") and not exchange.limits:
        by_policy = is_undecided and not denies
        return "" if by_policy else "no limit decided"
    return ""


def no_job_is_lost(record: Record) -> Iterator[Violation]:
    """Each accepted job ends, with its effects once; a repeated Idempotency-Key is the same job."""
    jobs = {job.id: job for job in record.final.jobs}
    by_key: dict[str, set[str]] = defaultdict(set)
    for exchange in _of(record, "submit"):
        if exchange.status != 202:
            continue
        if exchange.got not in jobs:
            yield Violation("jobs", exchange.ended, f"job {exchange.got} was accepted and is not there")
        by_key[exchange.sent].add(exchange.got)
        if len(by_key[exchange.sent]) == 2:
            yield Violation("jobs", exchange.ended, f"key {exchange.sent}: {sorted(by_key[exchange.sent])}")
    accepted_at = {exchange.got: exchange.started for exchange in reversed(list(_of(record, "submit")))}
    for job in record.final.jobs:
        at = accepted_at.get(job.id, 0)
        if job.status not in ENDED:
            yield Violation("jobs", at, f"job {job.id} is {job.status}")
        wanted = 1 if job.status == "completed" else 0
        if job.effects != wanted:
            yield Violation("jobs", at, f"job {job.id} is {job.status}, its effect is there {job.effects} times")
    yield from _twins(record)


def _twins(record: Record) -> Iterator[Violation]:
    """There are no more jobs than keys were sent."""
    keys = {exchange.sent for exchange in _of(record, "submit")}
    if len(record.final.jobs) > len(keys):
        yield Violation("jobs", 0, f"{len(record.final.jobs)} jobs of {len(keys)} keys")


def writes_stay(record: Record) -> Iterator[Violation]:
    """What was acknowledged is in the database: log lines once, however often they were sent, and the newest note."""
    for exchange in _of(record, "log"):
        if exchange.status == 201 and record.final.lines.get(exchange.sent, 0) != 1:
            yield Violation(
                "writes", exchange.ended, f"{exchange.sent} is there {record.final.lines.get(exchange.sent, 0)} times"
            )
    for exchange in _of(record, "triage"):
        finding, _, note = exchange.sent.partition("/")
        if exchange.status == 200 and record.final.notes.get(finding, -1) < int(note):
            yield Violation("writes", exchange.ended, f"finding {finding}: note {note} is gone")


JUDGES: dict[str, Judge] = {
    "live policies": live_policies,
    "exact limits": exact_limits,
    "one origin call": one_origin_call,
    "privacy": nobody_sees_anothers_data,
    "answered": redis_may_fail,
    "jobs": no_job_is_lost,
    "writes": writes_stay,
}


def violations(record: Record) -> list[Violation]:
    """All that all judges find, by time."""
    found: Iterable[Violation] = (violation for judge in JUDGES.values() for violation in judge(record))
    return sorted(found, key=lambda violation: violation.at)


def by_incident(record: Record, found: Iterable[Violation]) -> Counter[tuple[str, str]]:
    """How many violations of which promise happened after which fault."""
    counts: Counter[tuple[str, str]] = Counter()
    for violation in found:
        incident = record.incident_at(violation.at)
        counts[incident.name if incident else "", violation.promise] += 1
    return counts


def _of(record: Record, kind: str) -> Iterator[Exchange]:
    return (exchange for exchange in record.exchanges if exchange.kind == kind)


def _span(record: Record, exchange: Exchange) -> Span:
    slack = record.drift + CLOCK_GRAIN
    return Span(exchange.started + record.epoch - slack, exchange.ended + record.epoch + slack)


def _is_near(record: Record, exchange: Exchange, grace: int, kind: Callable[[Incident], bool]) -> bool:
    """Whether such a fault lasted, or had ended less than ``grace`` ago, at some time of the request."""
    return any(
        kind(incident) and incident.began <= exchange.ended and exchange.started <= incident.back + grace
        for incident in record.incidents
    )
