"""Liveness without I/O; readiness with each dependency's state, time and reason, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import django_rq
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rq import Worker

FAILURES = (DatabaseError, RedisError, OSError)


def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while database and Redis answer; without workers ``degraded``, which is not dead."""
    checks = {"database": _checked(_ask_database), "redis": _checked(_ask_redis)}
    redis_is_up = checks["redis"]["state"] == "ok"
    workers = _checked(_count_workers) if redis_is_up else {"state": "unknown", "count": 0}
    if workers["state"] == "ok" and not workers["count"]:
        workers["state"] = "none"
    checks["workers"] = workers
    is_ready = redis_is_up and checks["database"]["state"] == "ok"
    status = "unavailable" if not is_ready else "ok" if workers["state"] == "ok" else "degraded"
    return JsonResponse(
        {"status": status, "checks": checks}, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"}
    )


def _checked(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        answer = {"state": "ok", **question()}
    except FAILURES as error:
        answer = {"state": "down", "reason": type(error).__name__}
    return {**answer, "ms": round((time.perf_counter() - started) * 1000, 2)}


def _ask_database() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {}


def _ask_redis() -> dict[str, Any]:
    get_redis_connection("default").ping()
    return {}


def _count_workers() -> dict[str, Any]:
    return {"count": Worker.count(connection=django_rq.get_connection())}
