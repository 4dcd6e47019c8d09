"""Answers about jobs: accepted ones, and ones that are being watched."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response

from perf.api.serializers import JobSerializer
from perf.models import Job
from perf.records import django_request

POLL_SECONDS = 1


def job_location(job: Job) -> str:
    """The path under which a job can be watched."""
    return reverse("performance:background-job", args=[job.pk])


def accepted(request: Request, job: Job) -> Response:
    """202 with the job and where to watch it."""
    return Response(
        JobSerializer(job).data,
        status=202,
        headers={"Location": job_location(job), "Retry-After": str(POLL_SECONDS)},
    )


def watched(request: Request, data: Any, *, is_active: bool) -> HttpResponseBase:
    """One job or a list, as ``data``; 304 where the client has it already; ``Retry-After`` while jobs go on."""
    headers = {
        "ETag": f'"{blake2b(repr(data).encode(), digest_size=12).hexdigest()}"',
        "Cache-Control": "private, no-cache",
    }
    if is_active:
        headers["Retry-After"] = str(POLL_SECONDS)
    response = Response(data, headers=headers)
    unchanged = get_conditional_response(django_request(request), etag=headers["ETag"], response=None)
    if unchanged is not None and unchanged.status_code == 304:
        for name, value in headers.items():
            unchanged.headers[name] = value
        return unchanged
    return response
