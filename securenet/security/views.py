"""``/api/security/*``: findings, their triage and export, the summary, scans and what changed between them.

Scans are not cached: their state changes with their jobs, and a stale one would contradict the job's own address. A
comparison is: the scans in it are completed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.api.idempotency import idempotency_key
from perf.api.jobs import accepted
from perf.api.schema_headers import ACCEPTED, IDEMPOTENCY_KEY
from perf.api.serializers import JobSerializer
from perf.caching import cache_api_response
from perf.jobs import submit
from perf.problems import Problem
from securenet.accounts.permissions import MayScan, ReadOnlyOrRole
from securenet.accounts.roles import ANALYSTS
from securenet.security import summary
from securenet.security.comparison import NotComparable, compare, previous_scan, report
from securenet.security.exports import CsvRenderer, ExportRenderer, SarifRenderer, export
from securenet.security.filters import FindingFilter, ScanFilter
from securenet.security.findings import AcceptanceRefused, TransitionRefused, reopen_accepted, triage
from securenet.security.models import Finding, Scan
from securenet.security.scan_params import ScanParams
from securenet.security.serializers import (
    ComparisonSerializer,
    FindingSerializer,
    ScanSerializer,
    SummarySerializer,
    TriageSerializer,
)
from securenet.security.signals import SECURITY_SCAN
from securenet.vulnerabilities.knowledge import data_age


class FindingsView(ListAPIView):
    """What is wrong, newest first: as pages of JSON, or all that the filters leave as a file (SARIF 2.1.0, CSV)."""

    queryset = Finding.objects.order_by("-pk").select_related("asset", "triaged_by")
    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    renderer_classes = [JSONRenderer, SarifRenderer, CsvRenderer]

    def get_renderers(self) -> list[BaseRenderer]:
        """Findings are read in all formats; what OPTIONS tells is no finding, and JSON."""
        return [JSONRenderer()] if self.request.method == "OPTIONS" else super().get_renderers()

    @extend_schema(
        responses={
            (200, JSONRenderer.media_type): FindingSerializer(many=True),
            (200, SarifRenderer.media_type): OpenApiResponse(OpenApiTypes.OBJECT, "A SARIF 2.1.0 log of all of them."),
            (200, CsvRenderer.media_type): OpenApiResponse(OpenApiTypes.STR, "All of them, a row each."),
        }
    )
    @cache_api_response(tags=["findings"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        reopen_accepted()
        renderer = request.accepted_renderer
        if isinstance(renderer, ExportRenderer):
            return export(renderer, self.filter_queryset(self.get_queryset()))
        return super().get(request, *args, **kwargs)


class FindingView(RetrieveAPIView):
    """One finding, and its triage."""

    permission_classes = [ReadOnlyOrRole(*ANALYSTS)]
    queryset = Finding.objects.select_related("asset", "triaged_by")
    serializer_class = FindingSerializer

    @cache_api_response(tags=["findings"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        reopen_accepted()
        return super().get(request, *args, **kwargs)

    @extend_schema(request=TriageSerializer, responses={200: FindingSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        serializer = TriageSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        judgement = serializer.validated_data
        try:
            triage(
                pk,
                by_id=request.user.pk,
                state=judgement.get("state"),
                note=judgement.get("triage_note"),
                accepted_until=judgement.get("accepted_until", ...),
            )
        except Finding.DoesNotExist as error:
            raise Http404("There is no such finding.") from error
        except TransitionRefused as refused:
            detail = serializers.ErrorDetail(str(refused), "transition_refused")
            raise serializers.ValidationError({"state": [detail]}) from refused
        except AcceptanceRefused as refused:
            detail = serializers.ErrorDetail(str(refused), "acceptance_refused")
            raise serializers.ValidationError({"accepted_until": [detail]}) from refused
        return Response(FindingSerializer(self.get_object()).data)


class SummaryView(APIView):
    """The findings in numbers, the assets with the worst, and the newest."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: SummarySerializer})
    @cache_api_response(tags=["findings", "vulnerabilities"])
    def get(self, request: Request) -> Response:
        reopen_accepted()
        numbers = {**summary.counts(), "top_assets": summary.top_assets(), "newest": summary.newest()}
        numbers["vulnerability_data"] = data_age()
        return Response(SummarySerializer(numbers).data)


class ScansView(ListAPIView):
    """Start a scan, or list those that were started."""

    serializer_class = ScanSerializer
    filterset_class = ScanFilter

    def get_permissions(self) -> list[BasePermission]:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else MayScan()]

    def get_queryset(self) -> QuerySet[Scan]:
        return _scans()

    @extend_schema(
        request=ScanParams,
        parameters=[IDEMPOTENCY_KEY, *ACCEPTED],
        responses={
            202: OpenApiResponse(JobSerializer, "The job that scans; `Location` says where to watch it."),
            409: None,
            422: None,
        },
    )
    def post(self, request: Request) -> Response:
        serializer = ScanParams(data=request.data)
        serializer.is_valid(raise_exception=True)
        params = dict(serializer.to_representation(serializer.validated_data))
        with idempotency_key(request) as key:
            job = submit(SECURITY_SCAN, params, by=request.user, idempotency_key=key)
        return accepted(request, job)


class ScanView(RetrieveAPIView):
    """One scan."""

    serializer_class = ScanSerializer

    def get_queryset(self) -> QuerySet[Scan]:
        return _scans()


class ComparisonView(APIView):
    """What changed between two scans."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "with",
                {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
                description="Id of an earlier scan. By default the last completed one of the same targets before it.",
            )
        ],
        responses={200: ComparisonSerializer, 409: OpenApiResponse(description="One of them is not completed.")},
    )
    @cache_api_response(tags=["findings", "scans"])
    def get(self, request: Request, pk: int) -> Response:
        scan = get_object_or_404(_scans(), pk=pk)
        named = request.query_params.get("with")
        try:
            earlier = previous_scan(scan) if named is None else _earlier_scan(scan, named)
            comparison = compare(scan, earlier)
        except NotComparable as error:
            raise Problem(409, "Not comparable", str(error)) from error
        return Response(ComparisonSerializer(report(scan, earlier, comparison)).data)


def _earlier_scan(scan: Scan, named: str) -> Scan:
    """The scan with the id that the client gave; it must be an earlier one."""
    try:
        pk = serializers.IntegerField(min_value=1, max_value=2**63 - 1).run_validation(named)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"with": error.detail}) from error
    earlier: Scan | None = _scans().filter(pk=pk).first()
    if earlier is None:
        raise serializers.ValidationError({"with": f"There is no scan {pk}."})
    if _when(earlier) > _when(scan):
        raise serializers.ValidationError({"with": f"Scan {pk} is the later one; ask for its comparison."})
    return earlier


def _when(scan: Any) -> tuple[datetime, int]:
    """Scans are told apart by when they were made, not by when they were taken in."""
    return scan.started_at or scan.submitted_at, scan.pk


def _scans() -> QuerySet[Scan]:
    scans: QuerySet[Scan] = Scan.objects.with_state().select_related("job", "started_by").order_by("-pk")
    return scans
