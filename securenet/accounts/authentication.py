"""Bearer tokens without SQL: the token carries user and roles, the gate knows whether it is still good.

Authentication and admission are one exchange with Redis, because only Redis knows whether the account has changed
since the token was made. Where it has, or Redis cannot say, the database is asked.
"""

from __future__ import annotations

from functools import lru_cache

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import aware_utcnow

from perf.gate import identities
from perf.gate.callers import Caller, caller_of
from perf.gate.outcome import IdentityChanged, Outcome
from perf.throttling import ask_gate
from securenet.accounts.identity import TokenUser, current_user


class TokenAuthentication(JWTAuthentication):
    """Reads ``Authorization: Bearer <access token>``."""

    def authenticate(self, request: Request) -> tuple[TokenUser, Token] | None:
        token = self._token(request)
        if token is None:
            return None
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

    def _token(self, request: Request) -> Token | None:
        header = self.get_header(request)
        if header is None:
            return None
        try:
            raw_token = self.get_raw_token(header)
        except AuthenticationFailed as error:
            raise AuthenticationFailed("Write Authorization: Bearer, one space, and the access token.") from error
        return None if raw_token is None else _verified(raw_token)

    def _admit(self, request: Request, user: TokenUser) -> Outcome | IdentityChanged:
        return ask_gate(request, request.parser_context["view"], _caller(request, user))

    def _reload(self, token: Token) -> TokenUser:
        user = current_user(token)
        if user is None:
            raise AuthenticationFailed("The account was changed or deactivated; sign in again.")
        return user


def _verified(raw_token: bytes) -> Token:
    """The token's claims; raises AuthenticationFailed unless it is ours, an access token, and not expired."""
    try:
        token = _verify_once(raw_token)
        token.check_exp(current_time=aware_utcnow())
    except TokenError as error:
        raise AuthenticationFailed("The access token is not valid or has expired; get a new one.") from error
    return token


@lru_cache(maxsize=4096)
def _verify_once(raw_token: bytes) -> Token:
    """Check the signature. What was signed once stays signed; only the expiry has to be looked at each time."""
    return AccessToken(raw_token)


def _caller(request: Request, user: TokenUser) -> Caller:
    return caller_of(request._request, user, version=str(user.version))
