"""Makes the tokens of the API. What an access token says is read by `identity.TokenUser`.

``ver`` says which state of the account the token describes, ``pwd`` which password it was made under.
"""

from __future__ import annotations

from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from perf.gate.callers import grants_of
from securenet.accounts.models import User


def access_token_for(user: User) -> str:
    """A signed access token with the user's roles as the database has them now."""
    user.__dict__.pop("roles", None)
    token = AccessToken()
    token["sub"] = str(user.pk)
    token["username"] = user.get_username()
    token["roles"] = sorted(user.roles)
    token["staff"] = user.is_staff
    token["superuser"] = user.is_superuser
    if grants := grants_of(user):
        token["grants"] = grants
    token["ver"] = user.token_version
    token["pwd"] = user.password_stamp
    return str(token)


def refresh_token_for(user: User) -> str:
    """A signed refresh token. It says nothing of roles: those are read when it is used."""
    token = RefreshToken()
    token["sub"] = str(user.pk)
    token["pwd"] = user.password_stamp
    return str(token)
