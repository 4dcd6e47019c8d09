"""The bodies of the sign-in endpoints."""

from __future__ import annotations

from rest_framework import serializers

from perf.api.fields import Text
from perf.api.serializers import StrictSerializer


class CredentialsSerializer(StrictSerializer):
    """``{"username": …, "password": …}``."""

    username = Text(max_length=150)
    password = Text(max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class RefreshSerializer(StrictSerializer):
    """``{"refresh": …}``."""

    refresh = Text(max_length=4096)


class AccessSerializer(serializers.Serializer):
    """The answer to a refresh token."""

    access = serializers.CharField()


class TokensSerializer(AccessSerializer):
    """The answer to credentials."""

    refresh = serializers.CharField()
