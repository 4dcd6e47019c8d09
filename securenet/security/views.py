"""``/api/security/*``: findings and their triage, the summary, and scans.

Scans are not cached: their state changes with their jobs, and a stale one would contradict the job's own address.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.api.idempotency import idempotency_key
from perf.api.jobs import accepted
from perf.api.serializers import JobSerializer
from perf.caching import cache_api_response
from perf.jobs import submit
from securenet.accounts.permissions import MayScan, ReadOnlyOrRole
from securenet.accounts.roles import ANALYSTS
from securenet.security import summary
from securenet.security.filters import FindingFilter, ScanFilter
from securenet.security.findings import TransitionRefused, triage
from securenet.security.models import Finding, Scan
from securenet.security.scan_params import ScanParams
from securenet.security.serializers import FindingSerializer, ScanSerializer, SummarySerializer, TriageSerializer
from securenet.security.signals import SECURITY_SCAN


class FindingsView(ListAPIView):
    """What is wrong, newest first."""

    queryset = Finding.objects.order_by("-pk").select_related("asset", "triaged_by")
    serializer_class = FindingSerializer
    filterset_class = FindingFilter

    @cache_api_response(tags=["findings"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class FindingView(RetrieveAPIView):
    """One finding, and its triage."""

    permission_classes = [ReadOnlyOrRole(*ANALYSTS)]
    queryset = Finding.objects.select_related("asset", "triaged_by")
    serializer_class = FindingSerializer

    @cache_api_response(tags=["findings"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(request=TriageSerializer, responses={200: FindingSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        serializer = TriageSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        judgement = serializer.validated_data
        try:
            triage(pk, by_id=request.user.pk, state=judgement.get("state"), note=judgement.get("triage_note"))
        except Finding.DoesNotExist as error:
            raise Http404("There is no such finding.") from error
        except TransitionRefused as refused:
            detail = serializers.ErrorDetail(str(refused), "transition_refused")
            raise serializers.ValidationError({"state": [detail]}) from refused
        return Response(FindingSerializer(self.get_object()).data)


class SummaryView(APIView):
    """The findings in numbers, the assets with the worst, and the newest."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: SummarySerializer})
    @cache_api_response(tags=["findings"])
    def get(self, request: Request) -> Response:
        numbers = {**summary.counts(), "top_assets": summary.top_assets(), "newest": summary.newest()}
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
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        responses={202: OpenApiResponse(JobSerializer, "The job that scans; `Location` says where to watch it.")},
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


def _scans() -> QuerySet[Scan]:
    scans: QuerySet[Scan] = Scan.objects.with_state().select_related("job", "started_by").order_by("-pk")
    return scans
