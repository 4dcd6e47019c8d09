"""Processes that do a task together: each reads it as a line of JSON, and answers with a line of what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

Process = subprocess.Popen[str]


@contextmanager
def processes(module: str, count: int, redis_url: str, **environment: str) -> Iterator[list[Process]]:
    """``python -m module NUMBER``, that many times, on this process's Redis and policies; killed at the end."""
    if connection.vendor != "sqlite":
        pytest.skip("the processes find the policies in the SQLite file of the tests")
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "securenet.settings",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "REDIS_URL": redis_url,
        "REDIS_TIMEOUT": "5",  # seconds; a busy machine is not a Redis that hangs
        "SECRET_KEY": settings.SECRET_KEY,
        **environment,
    }
    command = [sys.executable, "-m", module]
    started = [
        subprocess.Popen(
            [*command, str(number)], env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for number in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def carried_out(line: str, by: Sequence[Process]) -> list[Any]:
    """What each of the processes answers to this line, all of them at work at the same time."""
    with ThreadPoolExecutor(len(by)) as threads:
        return list(threads.map(lambda process: _answer(process, line), by))


def _answer(process: Process, line: str) -> Any:
    assert process.stdin and process.stdout
    process.stdin.write(line)
    process.stdin.flush()
    answer = json.loads(process.stdout.readline() or "null")
    assert answer is not None, "a process that works on the task has ended; its error is above"
    return answer
