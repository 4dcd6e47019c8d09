"""The judges of `make chaos` find each kind of violation that is planted in a record, and none in a clean one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.answers import SECOND
from tests.chaos.editor import ROLLED_BACK
from tests.chaos.storm import plan
from tests.chaos.storm.judges import by_incident, violations
from tests.chaos.storm.limits import LIMITS
from tests.chaos.storm.origins import OriginCall
from tests.chaos.storm.record import Exchange, FinalJob, FinalState, Incident, PolicyEdit, Record

MILLISECOND = SECOND // 1000
LIMIT = LIMITS[0].limit  # of a sliding window of two seconds
REDIS_AWAY = Incident(
    "Redis: SIGSTOP", 20 * SECOND, 24 * SECOND, 30 * SECOND, is_outage=True, cuts_redis=True, is_silent=True
)
EMPTIED = Incident("Redis: FLUSHALL", 30 * SECOND, 33 * SECOND, 40 * SECOND, forgets=True)
WEB_KILLED = Incident("web process: SIGKILL", 40 * SECOND, 42 * SECOND, 50 * SECOND, hits_web=True)
LOCKED = Incident("database: locked", 50 * SECOND, 54 * SECOND, 60 * SECOND, hits_database=True)
CRASHED = Incident("database: crashed", 60 * SECOND, 62 * SECOND, 70 * SECOND, hits_database=True, hides_policies=True)
INCIDENTS = (REDIS_AWAY, EMPTIED, WEB_KILLED, LOCKED, CRASHED)


def exchange(kind: str, at: float, path: str = "/api/x", status: int = 200, **fields: str) -> Exchange:
    """A request at second ``at``, answered within a millisecond."""
    started = round(at * SECOND)
    blank = Exchange(
        started, started + MILLISECOND, "client", kind, "alice", "viewer", "127.0.1.1", "GET", path, status
    )
    return replace(blank, **fields)  # type: ignore[arg-type]


def seen(at: float, number: int) -> Exchange:
    """A request that edit ``number`` of the policy "open" decided."""
    return exchange("open", at, plan.OPEN, limits=f'"open";q={plan.OPEN_BASE + number};w=60')


def admitted(at: float, path: str = plan.LIMITED[0], status: int = 200) -> Exchange:
    return exchange("limited", at, path, status, limits='"any";q=20;w=2')


def submitted(at: float, key: str, job: str) -> Exchange:
    return exchange("submit", at, status=202, sent=key, got=job)


def edit(number: int, at: float) -> PolicyEdit:
    return PolicyEdit(number, round(at * SECOND), round(at * SECOND) + MILLISECOND)


def call(at: float, key: str = "everyone", seconds: float = 0.02) -> OriginCall:
    began = round(at * SECOND)
    return OriginCall(key, f"call at {at}", 1, began, began + round(seconds * SECOND) if seconds else 0)


CLEAN = Record(
    exchanges=[
        seen(1, 0), seen(11, 1), seen(20.5, 1), seen(24.5, 1), seen(27, 2),
        *(admitted(5 + number / 100) for number in range(LIMIT)), admitted(5.5, status=429),
        exchange("mine", 6, owner="alice", call="1", digest="a"), exchange("role", 6, owner="viewer"),
        exchange("everyone", 6, owner="everyone"), exchange("foreign job", 6, status=404),
        exchange("limited", 21, plan.LIMITED[0], 503, retry_after="2", problem="Limits cannot be checked"),
        exchange("open", 22, plan.OPEN),
        exchange("mine", 41, status=0, problem="reset"),
        exchange("log", 52, status=503, retry_after="5", problem="Database unavailable"),
        exchange("log", 56, status=201, sent="line"),
        exchange("open", 61, plan.OPEN), exchange("triage", 56, sent="7/3"),
        submitted(7, "key", "job"), submitted(8, "key", "job"), exchange("submit", 9, status=503, sent="lost key",
            retry_after="3", problem="Queue full"),
    ],
    edits=[edit(1, 10), edit(2, 22)],
    incidents=INCIDENTS,
    origin_calls=[call(1), call(3.1), call(4, "mine:alice"), call(32.9), call(33.5), call(39.9, seconds=0), call(42),
        call(55), call(61), call(61.5)],
    final=FinalState([FinalJob("job", "completed", 1)], {"line": 1}, {"7": 3}),
)  # fmt: skip


def test_clean_record_raises_no_alarm() -> None:
    assert violations(CLEAN) == []


PLANTED: dict[str, tuple[str, Exchange]] = {
    "older revision in calm": ("live policies", seen(12, 0)),
    "older revision long after Redis is back": ("live policies", seen(24 + plan.NOTICED_SECONDS + 0.1, 1)),
    "older revision while a web process is away": ("live policies", seen(41, 1)),
    "a change that was rolled back": (
        "live policies",
        exchange("open", 12, plan.OPEN, limits=f'"open";q={plan.OPEN_BASE + ROLLED_BACK};w=60'),
    ),
    "an edit that had not begun": ("live policies", seen(9, 1)),
    "one admission too many, just inside the period": ("exact limits", admitted(6.99)),
    "private body of another": ("privacy", exchange("mine", 12, owner="bob")),
    "body of another role": ("privacy", exchange("role", 12, owner="platform_owner")),
    "response with a cookie, shared": ("privacy", exchange("cookie", 12, owner="bob")),
    "notifications of two users": ("privacy", exchange("notifications", 12, owner="alice, bob")),
    "job of another": ("privacy", exchange("foreign job", 12)),
    "two bodies of one origin call": ("privacy", exchange("mine", 12, owner="alice", call="1", digest="b")),
    "500": ("answered", exchange("findings", 22, status=500)),
    "502": ("answered", exchange("findings", 12, status=502)),
    "503 of no policy": ("answered", exchange("open", 22, plan.OPEN, 503, retry_after="2")),
    "503 by policy while Redis is there": ("answered", exchange("limited", 12, plan.LIMITED[0], 503, retry_after="2")),
    "503 without Retry-After": ("answered", exchange("limited", 22, plan.LIMITED[0], 503)),
    "database that is away without a fault of it": (
        "answered",
        exchange("log", 22, status=503, retry_after="5", problem="Database unavailable"),
    ),
    "connection lost while no web process is killed": ("answered", exchange("mine", 22, status=0)),
    "no limit while Redis is there": ("answered", exchange("open", 12, plan.OPEN)),
    "no limit while the database is locked": ("answered", exchange("open", 52, plan.OPEN)),
    "no limit although the policy denies": ("answered", exchange("limited", 22, plan.LIMITED[0])),
    "request that hangs": (
        "answered",
        replace(seen(12, 1), ended=round((12 + plan.LONGEST_SECONDS + 1) * SECOND)),
    ),
    "accepted job that is not there": ("jobs", submitted(12, "other key", "other job")),
    "second job of a key": ("jobs", submitted(12, "key", "second job")),
    "acknowledged line that is not stored": ("writes", exchange("log", 12, status=201, sent="other line")),
    "acknowledged note that is gone": ("writes", exchange("triage", 12, sent="7/4")),
}  # fmt: skip


@pytest.mark.parametrize(("promise", "planted"), PLANTED.values(), ids=PLANTED)
def test_planted_request_is_found(promise: str, planted: Exchange) -> None:
    found = violations(with_exchanges(planted))
    assert {violation.promise for violation in found} == {promise}


def with_exchanges(*more: Exchange) -> Record:
    return replace(CLEAN, exchanges=sorted([*CLEAN.exchanges, *more], key=lambda it: it.started))


@pytest.mark.parametrize("path", plan.LIMITED)
def test_more_than_the_limit_is_found_for_each_algorithm(path: str) -> None:
    flood = [admitted(12 + number / 1000, path) for number in range(50)]
    assert {violation.promise for violation in violations(with_exchanges(*flood))} == {"exact limits"}


def test_more_than_the_limit_is_found_across_an_outage_that_kept_the_memory() -> None:
    around = [admitted(19.9 + number / 1000) for number in range(LIMIT)] + [admitted(21)]
    assert [violation.promise for violation in violations(with_exchanges(*around))] == ["exact limits"]


def test_counters_begin_anew_where_redis_forgot() -> None:
    around = [admitted(29.5 + number / 1000) for number in range(LIMIT)]
    after = [admitted(33.1 + number / 1000) for number in range(LIMIT)]
    assert violations(with_exchanges(*around, *after)) == []
    assert [it.promise for it in violations(with_exchanges(*around, *after, admitted(34)))] == ["exact limits"]


def test_processes_that_admit_more_than_the_limit_together_are_found() -> None:
    flood = [
        exchange("local", 22.6 + number / 1000, plan.LOCAL, limits='"local";q=10;w=1')
        for number in range(plan.LOCAL_LIMIT + 1)
    ]
    assert violations(with_exchanges(*flood[:-1])) == []
    assert [violation.promise for violation in violations(with_exchanges(*flood))] == ["exact limits"]


@pytest.mark.parametrize(
    "second",
    [call(2.5), call(1.01), replace(call(1.01), process=2), call(56.5)],
    ids=["entry still fresh", "at the same time", "in another process", "long after a lock of the database"],
)
def test_second_origin_call_is_found(second: OriginCall) -> None:
    calls = sorted([*CLEAN.origin_calls, second], key=lambda it: it.began)
    assert {it.promise for it in violations(replace(CLEAN, origin_calls=calls))} == {"one origin call"}


@pytest.mark.parametrize(
    "job",
    [
        FinalJob("job", "processing", 0),
        FinalJob("job", "completed", 0),
        FinalJob("job", "completed", 2),
        FinalJob("job", "failed", 1),
    ],
    ids=["never ends", "effect lost", "effect twice", "effect of a failure"],
)
def test_job_that_was_not_carried_out_once_is_found(job: FinalJob) -> None:
    found = violations(replace(CLEAN, final=replace(CLEAN.final, jobs=[job])))
    assert [violation.promise for violation in found] == ["jobs"]


def test_jobs_that_no_client_knows_of_are_found_by_their_number() -> None:
    jobs = [FinalJob(job, "completed", 1) for job in ("job", "twin", "triplet")]
    found = violations(replace(CLEAN, final=replace(CLEAN.final, jobs=jobs)))
    assert [violation.promise for violation in found] == ["jobs"]


def test_line_that_is_stored_twice_is_found() -> None:
    found = violations(replace(CLEAN, final=replace(CLEAN.final, lines={"line": 2})))
    assert [violation.promise for violation in found] == ["writes"]


def test_violation_counts_for_the_fault_before_it() -> None:
    record = with_exchanges(exchange("mine", 12, status=500), exchange("mine", 32, status=500))
    counts = by_incident(record, violations(record))
    assert counts == {("", "answered"): 1, (EMPTIED.name, "answered"): 1}
