"""Bearer tokens without SQL: the token carries user and roles, the gate knows whether it is still good.

Authentication and admission are one exchange with Redis, because only Redis knows whether the account has changed
since the token was made. Where it has, or Redis cannot say, the database is asked.
"""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken, Token

from perf.gate.callers import Caller, caller_of
from perf.gate.outcome import IdentityChanged
from perf.records import record_of
from perf.throttling import ask_gate
from securenet.accounts.identity import TokenUser, current_user


class TokenAuthentication(JWTAuthentication):
    """Reads ``Authorization: Bearer <access token>``."""

    def authenticate(self, request: Request) -> tuple[TokenUser, Token] | None:
        header = self.get_header(request)
        raw_token = self.get_raw_token(header) if header is not None else None
        if raw_token is None:
            return None
        token = self.get_validated_token(raw_token)
        user = TokenUser.from_token(token)
        outcome = self._admit(request, user)
        if isinstance(outcome, IdentityChanged) or not outcome.identity_checked:
            user = self._reload(token)
            if isinstance(outcome, IdentityChanged):
                self._admit(request, user)
            elif record := record_of(request):
                record.caller = _caller(request, user)
        return user, token

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return AccessToken(raw_token)
        except Exception as error:
            raise AuthenticationFailed(
                "The access token is not valid or has expired; get a new one."
            ) from error

    def _admit(self, request: Request, user: TokenUser) -> Any:
        return ask_gate(request, request.parser_context["view"], _caller(request, user))

    def _reload(self, token: Token) -> TokenUser:
        user = current_user(token)
        if user is None:
            raise AuthenticationFailed("The account was changed or deactivated; sign in again.")
        return user


def _caller(request: Request, user: TokenUser) -> Caller:
    return caller_of(request._request, user, version=str(user.version))
