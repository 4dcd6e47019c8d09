"""What holds for every request: bodies say how long they are, and pages load nothing from anywhere but this server."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from perf.problems import Problem, problem_response

STRICT = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
# Swagger UI starts itself from an inline script and styles its parts inline.
API_DOCS = f"{STRICT}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"


class ContentSecurityPolicyMiddleware:
    """Sets the header unless the view has set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", API_DOCS if request.path_info == "/api/docs" else STRICT)
        return response


class LengthRequiredMiddleware:
    """411 for a body without a length: WSGI hands it on as an empty one, and what was sent would be ignored."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # Whoever reads the chunks differently, such as a proxy in front, shall not find a request behind them.
            headers = {"Connection": "close"}
            detail = "Send the body with a Content-Length, not in chunks."
            problem = Problem(411, "Length required", detail, headers=headers)
            return problem_response(problem, request)
        return self.get_response(request)
