"""``/api/network/*``: the inventory for everybody who is signed in, the scan targets for admins."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from rest_framework import serializers
from rest_framework.generics import ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from perf.caching import cache_api_response
from securenet.accounts.permissions import IsAdminRole, ReadOnlyOrRole
from securenet.accounts.roles import ANALYSTS
from securenet.network.filters import AssetFilter, ScanTargetFilter
from securenet.network.models import Asset, ScanTarget
from securenet.network.serializers import AssetSerializer, ScanTargetSerializer


class AssetsView(ListCreateAPIView):
    """The machines of the network."""

    permission_classes = [ReadOnlyOrRole(*ANALYSTS)]
    queryset = Asset.objects.order_by("-pk").prefetch_related("services")
    serializer_class = AssetSerializer
    filterset_class = AssetFilter

    @cache_api_response(tags=["assets"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        _save_unique(serializer)


class AssetView(RetrieveUpdateDestroyAPIView):
    """One machine with its services."""

    permission_classes = [ReadOnlyOrRole(*ANALYSTS)]
    queryset = Asset.objects.prefetch_related("services")
    serializer_class = AssetSerializer

    @cache_api_response(tags=["assets"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def perform_update(self, serializer: serializers.BaseSerializer) -> None:
        _save_unique(serializer)


class ScanTargetsView(ListCreateAPIView):
    """The networks that may be scanned."""

    permission_classes = [IsAdminRole]
    queryset = ScanTarget.objects.order_by("-pk").select_related("created_by")
    serializer_class = ScanTargetSerializer
    filterset_class = ScanTargetFilter

    @cache_api_response(tags=["targets"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        serializer.save(created_by_id=self.request.user.pk)


class ScanTargetView(RetrieveUpdateDestroyAPIView):
    """One network that may be scanned."""

    permission_classes = [IsAdminRole]
    queryset = ScanTarget.objects.select_related("created_by")
    serializer_class = ScanTargetSerializer

    @cache_api_response(tags=["targets"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


def _save_unique(serializer: serializers.BaseSerializer) -> None:
    """Save; the address may have been taken between the check and the write, by a scan or another client."""
    try:
        with transaction.atomic():
            serializer.save()
    except IntegrityError as error:
        taken = serializers.ErrorDetail("There is an asset with this address already.", "unique")
        raise serializers.ValidationError({"address": [taken]}) from error
