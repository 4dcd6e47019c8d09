"""What all pages of the dashboard share: who may see them, what stands in their frame, what becomes of a refusal."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.generic import TemplateView
from django_htmx.http import HttpResponseClientRedirect

from securenet.dashboard.conduct import conduct_of
from securenet.dashboard.own_api import Answer, Refused, get
from securenet.notifications.models import Notification

PROBLEM_TEMPLATE = "dashboard/problem.html"
# Seconds after which a page asks for itself again: while something on it runs, and otherwise.
SOON = 4
LATER = 15


class Page(TemplateView):
    """A page for people who are signed in. Others are led to the sign-in form and back."""

    section = ""
    answer: Answer | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        try:
            response = super().dispatch(request, *args, **kwargs)  # type: ignore[arg-type]
        except Refused as refused:
            response = self.refusal(refused.answer)
        except Http404 as missing:
            response = self.problem(HTTPStatus.NOT_FOUND, _("Not found"), str(missing))
        add_never_cache_headers(response)
        return response

    def ask(self, view_name: str, *args: Any, query: str = "") -> Answer:
        """Ask the API for what the page is about; raises as `own_api.get`."""
        self.answer = get(self.request, view_name, *args, query=query)
        return self.answer

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(
            **{
                "section": self.section,
                "unread": Notification.objects.filter(user_id=self.request.user.pk, read_at=None).count(),
                "conduct": conduct_of(self.answer) if self.answer is not None else (),
                "refresh": LATER,
                **context,
            }
        )

    def refusal(self, answer: Answer) -> HttpResponse:
        """A problem of the API as a page."""
        self.answer = answer
        response = self.problem(answer.status, answer.data["title"], answer.data["detail"])
        if "Retry-After" in answer.headers:
            response["Retry-After"] = answer.headers["Retry-After"]
        return response

    def problem(self, status: int, title: str, detail: str) -> HttpResponse:
        """A page that says what is wrong."""
        words = {"title": title, "detail": detail, "status": int(status)}
        context = Page.get_context_data(self, problem=words)
        return TemplateResponse(self.request, PROBLEM_TEMPLATE, context, status=status)


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """A part of a page cannot be replaced by a sign-in form; the whole page goes there."""
    redirect = redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(redirect.url) if getattr(request, "htmx", False) else redirect
