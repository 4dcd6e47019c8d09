"""``/api/notifications``: the caller's own, and nobody else's."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
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

    unread = django_filters.BooleanFilter(field_name="read_at", lookup_expr="isnull")
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
        notification = self.get_object()
        serializer = ReadSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        is_read = serializer.validated_data["read"]
        if is_read != (notification.read_at is not None):
            notification.read_at = timezone.now() if is_read else None
            if not is_read:
                notification.key = ""  # a later message with this key may be waiting unread already
            notification.save(update_fields=["read_at", "key"])
        return Response(NotificationSerializer(notification).data)
