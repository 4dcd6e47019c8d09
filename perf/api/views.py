"""``/api/performance/*``: metrics, cache, and background jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.api.idempotency import idempotency_key
from perf.api.jobs import accepted, watched
from perf.api.pagination import ResultPages
from perf.api.report import ReportSerializer
from perf.api.schema_headers import ACCEPTED, IDEMPOTENCY_KEY, WATCHED
from perf.api.serializers import InvalidationSerializer, JobSerializer, SubmissionSerializer, WarmSerializer
from perf.caching import invalidate
from perf.caching.paths import routes_of_path
from perf.conf import setting
from perf.gate.callers import roles_of
from perf.jobs import states
from perf.jobs.registry import job_type_names
from perf.jobs.submit import submit
from perf.metrics.read import WINDOWS
from perf.metrics.report import performance_report
from perf.models import CachePolicy, Job
from perf.policies.routes import InvalidRoute
from perf.problems import Problem


def is_admin(user: Any) -> bool:
    """Superusers, and users with one of ``PERF_ADMIN_ROLES``."""
    return bool(getattr(user, "is_superuser", False)) or bool(roles_of(user) & set(setting("ADMIN_ROLES")))


class IsAdmin(BasePermission):
    """Admins only; see `is_admin`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.is_authenticated) and is_admin(request.user)


class MetricsView(APIView):
    """Cache, limits, jobs, store and latency, over all processes."""

    permission_classes = [IsAdmin]

    @extend_schema(
        parameters=[OpenApiParameter("window", enum=list(WINDOWS), default="1h")],
        responses={200: ReportSerializer},
    )
    def get(self, request: Request) -> Response:
        window = request.query_params.get("window", "1h")
        if window not in WINDOWS:
            raise _invalid("window", f"{window!r} is no window; choose one of {', '.join(WINDOWS)}.")
        return Response(performance_report(window), headers={"Cache-Control": "no-store"})


class WarmView(APIView):
    """Fill the cache by policy and role."""

    permission_classes = [IsAdmin]

    @extend_schema(request=WarmSerializer, parameters=ACCEPTED, responses={202: JobSerializer})
    def post(self, request: Request) -> Response:
        serializer = WarmSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        job = submit("cache_warm", serializer.validated_data, by=request.user)
        return accepted(request, job)


class InvalidateView(APIView):
    """Drop cached responses by tag, policy or path."""

    permission_classes = [IsAdmin]

    @extend_schema(request=InvalidationSerializer, responses={200: InvalidationSerializer})
    def post(self, request: Request) -> Response:
        serializer = InvalidationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        chosen = serializer.validated_data
        routes = [route for path in chosen.get("paths", []) for route in self._routes(path)]
        self._check_policies(chosen.get("policies", []))
        invalidate(
            tags=chosen.get("tags", []),
            policies=chosen.get("policies", []),
            routes=routes,
            everything=chosen.get("everything", False),
        )
        return Response(chosen)

    def _routes(self, path: str) -> list[str]:
        try:
            routes = routes_of_path(path)
        except InvalidRoute as error:
            raise _invalid("paths", str(error)) from error
        if not routes:
            raise _invalid("paths", f"{path!r} is the path of no cached view.")
        return routes

    def _check_policies(self, names: list[str]) -> None:
        missing = sorted(set(names) - set(CachePolicy.objects.filter(name__in=names).values_list("name", flat=True)))
        if missing:
            raise _invalid("policies", f"There is no cache policy {', '.join(missing)}.")


class NewestJobsFirst(ResultPages):
    """By the time of submission."""

    ordering = ("-submitted_at", "-id")


class UnknownPathView(APIView):
    """Whatever else is below ``api/``: counted like any request, so that looking for endpoints is limited."""

    permission_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound(f"There is nothing at {request.path}.")


class BackgroundJobsView(GenericAPIView[Job]):
    """Submit a job, or list those one may see."""

    permission_classes = [IsAuthenticated]
    pagination_class = NewestJobsFirst
    serializer_class = JobSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Job]:
        return visible_jobs(self.request.user)

    @extend_schema(
        parameters=[
            OpenApiParameter("status", enum=[status.value for status in Job.Status]),
            OpenApiParameter("type", str, description="Name of a job type."),
            *WATCHED,
        ],
        responses={200: JobSerializer(many=True), 304: None},
    )
    def get(self, request: Request) -> HttpResponseBase:
        jobs = self.get_queryset()
        if status := request.query_params.get("status"):
            if status not in Job.Status.values:
                raise _invalid("status", f"{status!r} is no status; choose one of {', '.join(Job.Status.values)}.")
            jobs = jobs.filter(status=status)
        if name := request.query_params.get("type"):
            if name not in job_type_names():
                raise _invalid("type", f"{name!r} is no job type; choose one of {', '.join(job_type_names())}.")
            jobs = jobs.filter(type=name)
        page = self.paginate_queryset(jobs)
        body = self.get_paginated_response(JobSerializer(page or [], many=True).data).data
        return watched(request, body, is_active=any(job.is_active for job in page or []))

    @extend_schema(
        request=SubmissionSerializer,
        parameters=[IDEMPOTENCY_KEY, *ACCEPTED],
        responses={202: JobSerializer, 409: None, 422: None},
    )
    def post(self, request: Request) -> Response:
        serializer = SubmissionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        with idempotency_key(request) as key:
            job = submit(wanted["type"], wanted["params"], by=request.user, idempotency_key=key)
        return accepted(request, job)


class BackgroundJobView(APIView):
    """One job: watch it, or cancel it."""

    permission_classes = [IsAuthenticated]

    @extend_schema(parameters=WATCHED, responses={200: JobSerializer, 304: None})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        job = get_object_or_404(visible_jobs(request.user), pk=pk)
        return watched(request, JobSerializer(job).data, is_active=job.is_active)

    @extend_schema(responses={200: JobSerializer, 409: OpenApiResponse(description="The job has ended already.")})
    def delete(self, request: Request, pk: UUID) -> Response:
        job = get_object_or_404(visible_jobs(request.user), pk=pk)
        if not states.cancel(job, by=request.user.get_username()):
            job.refresh_from_db()
            raise Problem(
                409, "Job has ended", f"The job is {job.status}; only waiting and running jobs are cancelled."
            )
        job.refresh_from_db()
        return Response(JobSerializer(job).data)


def visible_jobs(user: Any) -> QuerySet[Job]:
    """All jobs for admins, one's own for others."""
    jobs: QuerySet[Job] = Job.objects.all()
    return jobs if is_admin(user) else jobs.filter(submitted_by_id=user.pk)


def _invalid(field: str, detail: str) -> Problem:
    return Problem(400, "Invalid input", detail, errors=[{"field": field, "detail": detail, "code": "invalid"}])
