"""What other caches get wrong: responses that must not be kept, and hits that must not have changed."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response, invalidate
from perf.models import CachePolicy
from tests.integration.helpers import client_for, given_cache_policy, given_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]
calls = itertools.count(1)
together: threading.Barrier | None = None


class Peculiar(APIView):
    """Its response has the headers that the query asks for."""

    permission_classes = [AllowAny]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        given = {name: value for name, value in request.query_params.items() if name != "status"}
        return Response({"calls": next(calls)}, status=int(request.query_params.get("status", 200)), headers=given)


@cache_api_response()
def personal(request: HttpRequest) -> HttpResponse:
    """Greets by cookie, header and sign-in, and says so or not, as views do."""
    who = [request.headers.get("X-A", "absent"), request.headers.get("X-B", "absent")]
    response = HttpResponse(" ".join([request.user.get_username(), *who, request.COOKIES.get("name", "")]))
    for name, value in request.GET.items():
        response.headers[name] = value
    if "welcome" in request.COOKIES:
        response.set_cookie("sid", request.COOKIES["welcome"])
    return response


@cache_api_response()
def download(request: HttpRequest) -> FileResponse:
    return FileResponse(BytesIO(b"%d" % next(calls)), content_type="text/plain")


@cache_api_response()
def events(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"data: %d\n\n" % next(calls)]), content_type="text/event-stream")


@cache_api_response()
def crowded(request: HttpRequest) -> HttpResponse:
    """Is not stored; with `together` set, it answers only when that many are inside at the same moment."""
    if together is not None:
        together.wait(12)  # seconds; less than those wait who queue for a lease
    response = HttpResponse(str(next(calls)))
    response.set_cookie("sid", "secret")
    return response


@cache_api_response(tags=["groups"])
def groups(request: HttpRequest) -> HttpResponse:
    """What is in the database, and a stop on the way back where a test asks for one."""
    body = str(Group.objects.count())
    for pause in tuple(pauses):
        pause()
    return HttpResponse(body)


pauses: list[Any] = []

urlpatterns = [
    path("api/peculiar", Peculiar.as_view(), name="peculiar"),
    path("api/personal", personal, name="personal"),
    path("api/download", download, name="download"),
    path("api/events", events, name="events"),
    path("api/crowded", crowded, name="crowded"),
    path("api/groups", groups, name="groups"),
]


def is_kept(query: dict[str, Any], **headers: str) -> bool:
    """Whether a second request gets what the first one did."""
    client = client_for(**headers)
    _, second = (client.get("/api/peculiar", query) for _ in range(2))
    return "; hit" in second.headers["Cache-Status"]


class TestWhatIsNotKept:
    @pytest.fixture(autouse=True)
    def for_everyone(self) -> None:
        given_cache_policy(shared_by="everyone")

    def test_an_ordinary_response_is_kept(self) -> None:
        assert is_kept({})
        assert is_kept({"X-Colour": "blue"})

    @pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 400, 401, 403, 404, 410, 429, 500, 503])
    def test_only_200_is_kept(self, status: int) -> None:
        assert not is_kept({"status": status, "X-Colour": "blue"})

    @pytest.mark.parametrize(
        "says",
        ["no-store", "NO-STORE", "max-age=60, No-Store", "private", "Private", 'private="X-Colour"', "no-cache"],
    )
    def test_what_cache_control_forbids_in_whatever_case(self, says: str) -> None:
        """CVE-2026-8404: the case of directives."""
        assert not is_kept({"Cache-Control": says})

    @pytest.mark.parametrize("says", ["*", " * ", "Accept, *", "X-Tenant", " X-Tenant ", "Accept ,\tOrigin"])
    def test_what_varies_by_more_than_the_key(self, says: str) -> None:
        """CVE-2026-6907 (an asterisk) and CVE-2026-48587 (white space)."""
        assert not is_kept({"Vary": says})

    @pytest.mark.parametrize("says", ["Cookie", "Authorization", "accept, COOKIE", "Accept-Language"])
    def test_what_varies_by_credentials_among_several_users(self, says: str) -> None:
        """CVE-2026-35193 and CVE-2026-48588: what a view says it reads, it reads."""
        assert not is_kept({"Vary": says})

    def test_a_policy_that_varies_by_an_asterisk_covers_nothing(self) -> None:
        given_cache_policy("star", position=1, shared_by="everyone", vary_on_headers=["*"])
        assert not is_kept({"Vary": "*"})

    def test_a_header_that_the_policy_varies_on_is_part_of_the_key(self) -> None:
        given_cache_policy("tenants", position=1, shared_by="everyone", vary_on_headers=["x-tenant"])
        client = client_for()
        one, other, again = (
            client.get("/api/peculiar", {"Vary": "X-Tenant"}, headers={"X-Tenant": tenant}).content
            for tenant in ("one", "other", "one")
        )
        assert one == again != other

    def test_an_encoding_of_the_views_own(self) -> None:
        assert not is_kept({"Content-Encoding": "br", "Vary": "Accept-Encoding"})

    def test_a_permission_for_one_origin(self) -> None:
        assert not is_kept({"Access-Control-Allow-Origin": "https://one.example"})
        assert is_kept({"Access-Control-Allow-Origin": "*"})

    def test_a_nonce(self) -> None:
        assert not is_kept({"Content-Security-Policy": "script-src 'nonce-abc'"})
        assert is_kept({"Content-Security-Policy": "script-src 'self'"})

    @pytest.mark.parametrize("page", ["download", "events"])
    def test_streams_of_any_kind(self, page: str) -> None:
        first, second = (b"".join(client_for().get(f"/api/{page}").streaming_content) for _ in range(2))
        assert first != second

    def test_what_comes_to_the_user_alone_may_vary_by_the_users_credentials(self) -> None:
        given_cache_policy("own", position=1, shared_by="user")
        client = client_for(given_user())
        assert client.get("/api/peculiar?Vary=Cookie").content == client.get("/api/peculiar?Vary=Cookie").content


class TestLeaksThatDjangoFixedIn2026:
    """One test each, on a view that several users share; its own middleware cache served one what was another's."""

    @staticmethod
    def get(query: dict[str, str] | None = None, cookies: dict[str, str] | None = None, **headers: str) -> bytes:
        client = Client(headers=headers)
        client.cookies.load(cookies or {})
        return bytes(client.get("/api/personal", query).content)

    @pytest.fixture(autouse=True)
    def policy(self) -> None:
        given_cache_policy(shared_by="everyone", vary_on_headers=["X-A", "X-B"])

    def test_cve_2026_6907_vary_by_everything(self) -> None:
        pages = [self.get({"Vary": "X-A, *"}, {"name": name}) for name in ("ann", "ben")]
        assert pages == [b" absent absent ann", b" absent absent ben"]

    def test_cve_2026_8404_cache_control_in_another_case(self) -> None:
        for says in ("Private", "PRIVATE, max-age=9", "No-Store"):
            pages = [self.get({"Cache-Control": says}, {"name": name}) for name in ("ann", "ben")]
            assert pages == [b" absent absent ann", b" absent absent ben"]

    def test_cve_2026_48587_white_space_in_vary(self) -> None:
        for says in (" Cookie", "Cookie ", "X-A ,\tCookie", "X-A,  cookie  ,"):
            pages = [self.get({"Vary": says}, {"name": name}) for name in ("ann", "ben")]
            assert pages == [b" absent absent ann", b" absent absent ben"]

    def test_cve_2026_35193_authorization(self) -> None:
        """What one got for a credential is not for who shows none or another."""
        CachePolicy.objects.update(shared_by="user")
        client = client_for(given_user("ann"), Authorization="Bearer anns")
        assert b"ann" not in client.get("/api/personal").content, "a plain view does not know tokens"
        signed_in = Client(headers={"Authorization": "Bearer anns"})
        signed_in.force_login(given_user("ben"))
        assert signed_in.get("/api/personal").content == b"ben absent absent "
        assert self.get() == self.get(Authorization="Bearer bens") == b" absent absent "

    def test_cve_2026_48588_a_cookie_set_for_who_has_an_unrelated_one(self) -> None:
        for name in ("ann", "ben"):
            client = Client()
            client.cookies.load({"theme": "dark", "welcome": name})
            assert client.get("/api/personal", {"Vary": "Cookie"}).cookies["sid"].value == name

    def test_cve_2026_113593_an_absent_header_and_an_empty_one(self) -> None:
        asked: list[dict[str, str]] = [{}, {"X-A": ""}, {"X-B": ""}, {"X-A": "-,"}, {"X-A": "-"}, {"X-A": "absent"}]
        asked += [{"X-A": "a", "X-B": "bc"}, {"X-A": "ab", "X-B": "c"}]
        asked += [{"X-A": "1", "X-B": "2x-b3"}, {"X-A": "1x-b2", "X-B": "3"}]
        for headers in asked * 2:
            said = f" {headers.get('X-A', 'absent')} {headers.get('X-B', 'absent')} "
            assert self.get(**headers) == said.encode()


class TestHits:
    @pytest.fixture(autouse=True)
    def for_everyone(self) -> None:
        given_cache_policy(shared_by="everyone")

    def test_a_middleware_that_edits_a_response_edits_no_later_one(self) -> None:
        with override_settings(MIDDLEWARE=[*MIDDLEWARE, f"{__name__}.Scribbling"]):
            pages = [client_for().get("/api/peculiar?X-Colour=blue") for _ in range(3)]
        assert pages[0].json() == pages[1].json() == pages[2].json()
        assert {page["X-Scribbled"] for page in pages} == {"once"}

    def test_a_range_is_ignored_rather_than_cut_from_the_stored_body(self) -> None:
        whole = client_for().get("/api/peculiar")
        part = client_for().get("/api/peculiar", headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (200, whole.content)

    @pytest.mark.parametrize("way", ["/api/peculiar/x.css", "/api/peculiar;x.css", "/api/./peculiar", "/api//peculiar"])
    def test_another_path_never_has_its_entry(self, way: str) -> None:
        client_for().get("/api/peculiar")
        assert client_for().get(way).status_code == 404


MIDDLEWARE = ["perf.middleware.PerformanceMiddleware"]


class Scribbling:
    """Edits whatever comes by."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        response["X-Scribbled"] = "once" if "X-Scribbled" not in response else "again"
        if hasattr(response, "data"):
            response.data["calls"] = "scribbled"
        return response


class TestWhatCannotBeStoredQueuesNobody:
    @pytest.fixture
    def sixteen(self) -> Iterator[threading.Barrier]:
        global together
        given_cache_policy(shared_by="everyone")
        client_for().get("/api/crowded")  # leaves the marker
        together = threading.Barrier(16)
        yield together
        together = None

    def test_sixteen_requests_are_in_the_view_at_the_same_time(self, sixteen: threading.Barrier) -> None:
        def ask(_: int) -> bytes:
            try:
                return bytes(client_for().get("/api/crowded").content)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(16) as threads:
            bodies = list(threads.map(ask, range(16)))
        assert not sixteen.broken
        assert len(set(bodies)) == 16


class TestWhatWasReadBeforeAChange:
    """A reader that is slower than a writer must not leave the old state in the cache; nor one that reads what is
    never committed.
    """

    ROUNDS = 30

    @pytest.fixture(autouse=True)
    def for_everyone(self) -> Iterator[None]:
        given_cache_policy(shared_by="everyone")
        with override_settings(PERF_WAIT_SECONDS=0.02):  # a request from within the view would wait for itself
            yield
        pauses.clear()

    @pytest.mark.parametrize("seed", range(10))
    def test_is_never_served_after_it(self, seed: int) -> None:
        chance = random.Random(seed)

        def read() -> int:
            return int(client_for().get("/api/groups").content)

        def change() -> None:
            pauses.clear()
            for _ in range(chance.randint(1, 3)):
                is_dirty, commits = chance.random() < 0.3, chance.random() < 0.7
                try:
                    with transaction.atomic():
                        Group.objects.create(name=f"group {next(calls)}")
                        invalidate(tags=["groups"])
                        if is_dirty:
                            read()  # in the open transaction, what it has changed
                        if not commits:
                            raise _RolledBack
                except _RolledBack:
                    pass
                if chance.random() < 0.3:
                    assert read() == Group.objects.count()

        for _ in range(self.ROUNDS):
            match chance.randrange(3):
                case 0:
                    change()
                case 1:
                    pauses.append(change)  # between the view's reading and its entry being stored
                case _:
                    pauses.extend([change, change])
            read()
            pauses.clear()  # where the entry was fresh, nothing was interrupted
            assert read() == Group.objects.count()


class _RolledBack(Exception):
    pass
