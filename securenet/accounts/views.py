"""Sign-in for API clients: credentials give two tokens, the refresh token gives new access tokens.

The one place of the API that asks the database who somebody is; all other endpoints read the access token.
"""

from __future__ import annotations

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from securenet.accounts.identity import is_outdated
from securenet.accounts.limits import count_sign_in
from securenet.accounts.models import User
from securenet.accounts.serializers import (
    AccessSerializer,
    CredentialsSerializer,
    RefreshSerializer,
    TokensSerializer,
)
from securenet.accounts.tokens import access_token_for, refresh_token_for

NOT_CACHED = {"Cache-Control": "no-store"}


class SignInView(APIView):
    """What both endpoints share: open to everybody, and a failure is 401 with a challenge."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class TokenView(SignInView):
    """Username and password for an access token and a refresh token."""

    @extend_schema(request=CredentialsSerializer, responses={200: TokensSerializer, 401: None}, auth=[])
    def post(self, request: Request) -> Response:
        serializer = CredentialsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        count_sign_in(serializer.validated_data["username"])
        user = authenticate(request._request, **serializer.validated_data)
        if user is None:
            raise AuthenticationFailed("Username and password do not match an active account.")
        update_last_login(None, user)
        return Response({"access": access_token_for(user), "refresh": refresh_token_for(user)}, headers=NOT_CACHED)


class RefreshView(SignInView):
    """A refresh token for a new access token, with the account's roles as they are now."""

    @extend_schema(request=RefreshSerializer, responses={200: AccessSerializer, 401: None}, auth=[])
    def post(self, request: Request) -> Response:
        serializer = RefreshSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = _holder_of(serializer.validated_data["refresh"])
        return Response({"access": access_token_for(user)}, headers=NOT_CACHED)


def _holder_of(raw_token: str) -> User:
    """The active user a refresh token was made for. Raises AuthenticationFailed where it is not good any more."""
    try:
        token = RefreshToken(raw_token)
    except TokenError as error:
        raise AuthenticationFailed("The refresh token is not valid or has expired; sign in again.") from error
    user = User.objects.filter(pk=token.get("sub"), is_active=True).first()
    if user is None or is_outdated(token, user):
        raise AuthenticationFailed("The account was changed or deactivated; sign in again.")
    return user
