"""Notifications as JSON."""

from __future__ import annotations

from rest_framework import serializers

from perf.api.fields import Flag
from perf.api.serializers import StrictSerializer
from securenet.notifications.models import Notification


class NotificationSerializer(serializers.ModelSerializer):
    """A notification as its user sees it."""

    read = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = ["id", "title", "body", "severity", "link", "read", "created_at", "read_at"]
        read_only_fields = fields

    def get_read(self, notification: Notification) -> bool:
        """Whether it was read."""
        return notification.read_at is not None


class ReadSerializer(StrictSerializer):
    """``{"read": true}`` or ``{"read": false}``: all that can be changed."""

    read = Flag()
