"""Sign-in by browser. Guessing passwords there is limited by the same policy as in the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator

from securenet.accounts.limits import by_address, by_name


@method_decorator([by_address, by_name], name="post")
class SignInPage(LoginView):
    """The sign-in form; who is signed in already is sent on."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True


def with_limited_posts(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """``view`` with its POST requests under the policy for sign-ins."""
    limited = by_address(by_name(view))

    def limited_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return limited(request, *args, **kwargs) if request.method == "POST" else view(request, *args, **kwargs)

    return limited_view
