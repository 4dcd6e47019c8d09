"""``/api/notifications``: the caller's own, and nobody else's."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from perf.caching import cache_api_response
from securenet.notifications.models import Notification
from securenet.notifications.serializers import NotificationSerializer, ReadSerializer
from securenet.security.models import Severity


class NotificationFilter(django_filters.FilterSet):
    """By whether they were read, and by severity."""

    unread = django_filters.TypedChoiceFilter(
        field_name="read_at",
        lookup_expr="isnull",
        choices=[("true", "true"), ("false", "false")],
        coerce=lambda value: value == "true",
    )
    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices)

    class Meta:
        model = Notification
        fields: list[str] = []


class OwnNotifications:
    """Views of the caller's own notifications."""

    request: Request
    serializer_class = NotificationSerializer

    def get_queryset(self) -> QuerySet[Notification]:
        if getattr(self, "swagger_fake_view", False):
            return Notification.objects.none()
        return Notification.objects.filter(user_id=self.request.user.pk)


class NotificationsView(OwnNotifications, ListAPIView):
    """The caller's notifications, newest first."""

    filterset_class = NotificationFilter

    @cache_api_response(tags=["notifications"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class NotificationView(OwnNotifications, GenericAPIView):
    """Mark one as read or unread."""

    @extend_schema(request=ReadSerializer, responses={200: NotificationSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        self.get_object()
        serializer = ReadSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        notification = mark(self.get_queryset(), pk, is_read=serializer.validated_data["read"])
        return Response(NotificationSerializer(notification).data)


@transaction.atomic
def mark(notifications: QuerySet[Notification], pk: int, *, is_read: bool) -> Notification:
    """Mark one as read or unread; raises Http404 where it is gone."""
    notification = get_object_or_404(notifications.select_for_update(), pk=pk)
    if is_read == (notification.read_at is not None):
        return notification
    notification.read_at = timezone.now() if is_read else None
    try:
        with transaction.atomic():
            notification.save(update_fields=["read_at"])
    except IntegrityError:  # a later message with this key waits unread: that one keeps the key
        notification.key = ""
        notification.save(update_fields=["read_at", "key"])
    return notification
