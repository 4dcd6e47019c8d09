"""A strict Content-Security-Policy on every page: nothing is loaded from anywhere but this server."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

STRICT = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
# Swagger UI starts itself from an inline script and styles its parts inline.
API_DOCS = f"{STRICT}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"

# django-rq's own pages style some parts inline.
RQ_PAGES = f"{STRICT}; style-src 'self' 'unsafe-inline'"


class ContentSecurityPolicyMiddleware:
    """Sets the header unless the view has set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _policy_for(request.path_info))
        return response


def _policy_for(path: str) -> str:
    if path == "/api/docs":
        return API_DOCS
    return RQ_PAGES if path.startswith("/admin/django_rq/") else STRICT
