"""Sign-ins are limited by address and by user name, so that neither many addresses nor many names help to guess."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

from perf.throttling import rate_limit

POLICY: Final = "authentication"


def name_in_form(request: HttpRequest, *_: object, **__: object) -> str:
    """The user name of a sign-in form, spelt in one way; called with what the view is called with."""
    return one_spelling(request.POST.get("username", ""))


def one_spelling(username: str) -> str:
    """Different spellings of a name count as one."""
    return username.strip().casefold()


@rate_limit(policy=POLICY, key=one_spelling)
def count_sign_in(username: str) -> None:
    """Count an attempt to sign in as ``username``, from wherever. Raises `perf.throttling.RateLimited`."""


by_address = rate_limit(policy=POLICY)
by_name = rate_limit(policy=POLICY, key=name_in_form)
