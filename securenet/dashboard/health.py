"""Liveness without I/O; readiness with each dependency's state, time and reason, in bounded time."""

from __future__ import annotations

import time
from typing import Any

import django_rq
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rq import Worker

from perf.gate import keys
from securenet.dashboard.questions import Answered, Failed, Question, Unanswered, answer_within

# Seconds for all questions together: whoever asks after readiness gives up after one.
LONGEST_WAIT = 0.8


def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while database and Redis answer; without workers ``degraded``, which is not dead."""
    deadline = time.monotonic() + LONGEST_WAIT
    pending = {name: question.put() for name, question in QUESTIONS.items()}
    answers = {name: answer_within(future, deadline - time.monotonic()) for name, future in pending.items()}
    checks = {name: _check(answer) for name, answer in answers.items()}
    checks["workers"] = _workers(answers["workers"])
    is_ready = checks["database"]["state"] == "ok" and checks["redis"]["state"] == "ok"
    status = "unavailable" if not is_ready else "ok" if checks["workers"]["state"] == "ok" else "degraded"
    return JsonResponse(
        {"status": status, "checks": checks}, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"}
    )


def _check(answer: Answered[int] | Failed | Unanswered) -> dict[str, Any]:
    match answer:
        case Answered(seconds=seconds):
            return {"state": "ok", "ms": _ms(seconds)}
        case Failed(reason=reason, seconds=seconds):
            return {"state": "down", "ms": _ms(seconds), "reason": reason}
        case Unanswered():
            return {"state": "down", "ms": _ms(LONGEST_WAIT), "reason": f"No answer within {LONGEST_WAIT:g} s"}


def _workers(answer: Answered[int] | Failed | Unanswered) -> dict[str, Any]:
    match answer:
        case Answered(fact=count):
            return {"state": "ok" if count else "none", "count": count}
        case _:
            return {"state": "unknown", "count": 0}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _ask_database() -> int:
    """Read a table, not a constant: that needs no file. The connection is this thread's own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_migrations")
            return len(cursor.fetchmany(1))
    finally:
        connection.close()


def _ask_redis() -> int:
    """Read what every request reads: on a cluster that is the node with the limits."""
    return int(get_redis_connection("default").exists(keys.revision()))


def _count_workers() -> int:
    return int(Worker.count(connection=django_rq.get_connection()))


QUESTIONS = {
    "database": Question("readyz-database", _ask_database, (DatabaseError, OSError)),
    "redis": Question("readyz-redis", _ask_redis, (RedisError, OSError)),
    "workers": Question("readyz-workers", _count_workers, (RedisError, OSError)),
}
