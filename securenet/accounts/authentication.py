"""Bearer tokens without SQL: the token carries user and roles, the gate knows whether it is still good.

Authentication and admission are one exchange with Redis, because only Redis knows whether the account has changed
since the token was made. Where it has, or Redis cannot say, the database is asked.
"""

from __future__ import annotations

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken, Token

from perf.gate import identities
from perf.gate.callers import Caller, caller_of
from perf.gate.outcome import IdentityChanged, Outcome
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
        claimed = TokenUser.from_token(token)
        outcome = self._admit(request, claimed)
        if isinstance(outcome, Outcome) and outcome.identity_checked:
            return claimed, token
        user = self._reload(token)
        if isinstance(outcome, IdentityChanged) and outcome.version != str(user.version):
            # What was announced is older than the database: the next token shall not have to ask it again.
            identities.announce(user.pk, user.version)
        if user != claimed:
            # Limits and cache were asked for somebody who is not there any more.
            self._admit(request, user)
        return user, token

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return AccessToken(raw_token)
        except Exception as error:
            raise AuthenticationFailed(
                "The access token is not valid or has expired; get a new one."
            ) from error

    def _admit(self, request: Request, user: TokenUser) -> Outcome | IdentityChanged:
        return ask_gate(request, request.parser_context["view"], _caller(request, user))

    def _reload(self, token: Token) -> TokenUser:
        user = current_user(token)
        if user is None:
            raise AuthenticationFailed("The account was changed or deactivated; sign in again.")
        return user


def _caller(request: Request, user: TokenUser) -> Caller:
    return caller_of(request._request, user, version=str(user.version))
