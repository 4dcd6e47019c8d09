"""The page "Try it" of the admin: who asks, for what, and which policies would decide. Nothing is counted or saved.

It belongs to no model, so it is put in front of the admin site's own addresses.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from perf.admin.fields import RolesField
from perf.admin.trial import try_request
from perf.admin.trial_words import facts_of, may_see, tables_of, verdict_of
from perf.gate.callers import Caller, caller_of_user, client_address, parse_address
from perf.models import RateLimitPolicy
from perf.validators import HTTP_METHODS

# Stands for a user that has the chosen roles and has sent nothing yet; no user has this id.
NOBODY_IN_PARTICULAR = ""


class TryItForm(forms.Form):
    """Who asks, and for what."""

    path = forms.CharField(
        label=gettext_lazy("Path"),
        max_length=2000,
        help_text=gettext_lazy("As in an address bar, with the query if there is one: /api/items?page=2"),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    method = forms.ChoiceField(
        label=gettext_lazy("Method"), choices=[(name, name) for name in HTTP_METHODS], required=False
    )
    user = forms.CharField(
        label=gettext_lazy("User"),
        max_length=254,
        required=False,
        help_text=gettext_lazy("Name of an account; empty: nobody is signed in."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    roles = RolesField(
        label=gettext_lazy("Roles"),
        required=False,
        help_text=gettext_lazy("In place of a user: anyone signed in who has these roles."),
    )
    address = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("Of the client; empty: your own."),
    )

    def clean_path(self) -> str:
        """A path on this server, without what browsers keep to themselves."""
        text: str = self.cleaned_data["path"].partition("#")[0]
        if not text.startswith("/"):
            raise forms.ValidationError(_("%s is no path: write one that starts with /.") % text)
        return text

    def clean_method(self) -> str:
        """GET where none is chosen."""
        return self.cleaned_data["method"] or "GET"

    def clean_user(self) -> Any:
        """The account, or None."""
        name = self.cleaned_data["user"]
        if not name:
            return None
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
        if user is None:
            raise forms.ValidationError(_("There is no user %s.") % name)
        return user

    def clean_address(self) -> Any:
        """The address, or None."""
        text = self.cleaned_data["address"]
        address = parse_address(text) if text else None
        if text and address is None:
            raise forms.ValidationError(_("%s is no address; write such as 192.0.2.7 or 2001:db8::7.") % text)
        return address

    def clean(self) -> None:
        """A user has roles already."""
        if self.cleaned_data.get("user") and self.cleaned_data.get("roles"):
            self.add_error("roles", _("The user has roles of its own: choose either a user or roles."))

    def caller(self, request: HttpRequest) -> Caller:
        """Who would ask; an address that is not given is that of ``request``."""
        address = self.cleaned_data["address"] or client_address(request)
        if user := self.cleaned_data["user"]:
            return caller_of_user(user, address)
        if roles := self.cleaned_data["roles"]:
            return Caller(NOBODY_IN_PARTICULAR, frozenset(roles), address, name=_("anyone with these roles"))
        return Caller(None, frozenset(), address)


def try_it_response(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The form, and below it what would become of the request it describes; for who may see rate-limit policies."""
    if not may_see(request, RateLimitPolicy):
        raise PermissionDenied
    asked = bool(request.GET)
    form = TryItForm(request.GET if asked else None, initial={"address": str(client_address(request))})
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Try it"),
        "opts": RateLimitPolicy._meta,
        "form": form,
    }
    if asked and form.is_valid():
        place, _mark, query = form.cleaned_data["path"].partition("?")
        user = form.cleaned_data["user"]
        trial = try_request(form.caller(request), form.cleaned_data["method"], place, query, user)
        context |= {
            "trial": trial,
            "verdict": verdict_of(trial),
            "facts": list(facts_of(trial, user)),
            "counted": [(each, trial.caller.label(each.rule.count_by)) for each in trial.standings or ()],
            "tables": tables_of(trial, request),
        }
    request.current_app = site.name
    return TemplateResponse(request, "admin/perf/try_it.html", context)


def add_page(site: AdminSite) -> None:
    """Put the page at ``perf/try-it/`` of ``site``."""
    get_own_urls = site.get_urls

    def page(request: HttpRequest) -> HttpResponse:
        return try_it_response(site, request)

    def get_urls() -> list[URLPattern | URLResolver]:
        own = path("perf/try-it/", site.admin_view(require_safe(page)), name="perf_try_it")
        return [own, *get_own_urls()]

    site.get_urls = get_urls  # type: ignore[method-assign]


add_page(admin.site)
