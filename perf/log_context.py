"""Which request or job a log line is about. Add `ContextFilter` to a handler, and name the fields in its format."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("perf_request_id", default="")
job_id: ContextVar[str] = ContextVar("perf_job_id", default="")


class ContextFilter(logging.Filter):
    """Gives each line ``request_id`` and ``job_id``; empty outside of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets everything through."""
        record.request_id, record.job_id = request_id.get(), job_id.get()
        return True


@contextmanager
def about_job(key: str) -> Iterator[None]:
    """Lines of this thread are about the job, until the end."""
    token = job_id.set(key)
    try:
        yield
    finally:
        job_id.reset(token)
