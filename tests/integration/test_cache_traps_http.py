"""What other caches get wrong in HTTP: two requests taken for one, and responses that are no longer what they were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group, Permission
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from tests.integration import trap_views
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user
from tests.integration.test_response_cache import age_entries

pytestmark = pytest.mark.urls("tests.integration.trap_views")


def is_hit(response: Any) -> bool:
    """Whether it was answered without the view."""
    return bool(re.match(r"\S+; hit", response.headers["Cache-Status"]))


def ask_twice(path: str, **headers: str) -> tuple[Any, Any]:
    """The answers to two strangers."""
    first, second = (Client(headers=headers).get(path) for _ in range(2))
    return first, second


def shaped(**headers: str) -> str:
    """The path of a response with these headers; underscores stand for hyphens."""
    return "/api/shaped?" + "&".join(f"{name.replace('_', '-')}={quote(value)}" for name, value in headers.items())


class TestTwoRequestsAreNotTakenForOne:
    def test_of_two_versions_in_the_accept_header(self) -> None:
        given_cache_policy()
        for version in ("1", "2", "1"):
            accept = f"application/json; version={version}"
            assert client_for().get("/api/versioned", headers={"Accept": accept}).json() == {"version": version}

    def test_of_two_ways_to_write_the_same_type(self) -> None:
        given_cache_policy()
        pages = [
            client_for().get("/api/versioned", headers={"Accept": f"application/json{parameters}"}).content
            for parameters in ("; indent=4", "", "; indent=8")
        ]
        assert len(set(pages)) == 3

    def test_but_how_much_a_client_would_like_it_makes_no_difference(self) -> None:
        given_cache_policy()
        first, *others = (
            client_for().get("/api/versioned", headers={"Accept": accept})
            for accept in ("application/json", "application/json;q=0.9, */*;q=0.1", "*/*", "application/*;q=0.5")
        )
        assert all(is_hit(other) for other in others)
        assert first.status_code == 200

    def test_of_two_time_zones_and_languages(self) -> None:
        given_cache_policy()
        middleware = [
            "perf.middleware.PerformanceMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "tests.integration.trap_views.Places",
        ]
        asked = [(zone, language) for zone in ("UTC", "Asia/Tokyo") for language in ("en", "de")]
        with override_settings(MIDDLEWARE=middleware):
            for zone, language in asked * 2:
                page = Client().get("/api/local-time", headers={"X-Time-Zone": zone, "Accept-Language": language})
                assert page.content.decode() == f"{zone} {language}"

    def test_of_raw_and_percent_encoded_bytes(self) -> None:
        """Written raw these bytes are an é; encoded, the same two characters are what they look like."""
        given_cache_policy()
        raw, encoded = (
            Client().get("/api/echo", QUERY_STRING=query).json()["q"] for query in ("q=Ã©", f"q={quote('Ã©')}")
        )
        assert (raw, encoded) == (["é"], ["Ã©"])

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("q=%ff", "q=%fe"),
            ("q=a&q=b", "q=b&q=a"),
            ("q=a%26q%3Db", "q=a&q=b"),
            ("q=a;q=b", "q=a&q=b"),
            ("q=", ""),
            ("q=+", "q=%2B"),
            ("q=a%00b", "q=ab"),
        ],
    )
    def test_of_parameters_that_only_look_alike(self, one: str, other: str) -> None:
        given_cache_policy()
        assert not is_hit([Client().get("/api/echo", QUERY_STRING=query) for query in (one, other)][1])

    def test_of_two_hosts_or_schemes(self) -> None:
        given_cache_policy()
        with override_settings(ALLOWED_HOSTS=["one.example", "two.example"], PERF_VARY_ON_HOST=True):
            for host in ("one.example", "two.example", "one.example"):
                link = Client(headers={"Host": host}).get("/api/echo").json()["link"]
                assert link == f"http://{host}/api/echo"
            secure = Client(headers={"Host": "one.example"}).get("/api/echo", secure=True)
            assert secure.json()["link"] == "https://one.example/api/echo"
            assert Client(headers={"Host": "evil.example"}).get("/api/echo").status_code == 400

    @pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL"])
    def test_and_a_header_that_nobody_trusts_poisons_nothing(self, header: str) -> None:
        given_cache_policy()
        poisoned, clean = (Client(headers=headers).get("/api/echo") for headers in ({header: "evil.example"}, {}))
        assert clean.json()["link"] == "http://testserver/api/echo"
        assert poisoned.content == clean.content

    @pytest.mark.parametrize("header", ["HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"])
    def test_a_request_with_a_body_neither_gets_nor_leaves_an_entry(self, header: str) -> None:
        given_cache_policy()
        with_body = {header: "4" if header == "CONTENT_LENGTH" else "chunked"}
        answers = [client_for().get("/api/echo", **extra) for extra in (with_body, {}, with_body, {})]
        assert [is_hit(answer) for answer in answers] == [False, False, False, True]

    def test_an_ignored_parameter_is_not_in_the_links_either(self) -> None:
        given_cache_policy(ignore_params=["utm_*"])
        page = Client().get("/api/echo", QUERY_STRING=f"utm_source=%22evil%22&q={quote('é')}&%75tm_x=1&q=b%26")
        assert page.json()["link"] == f"http://testserver/api/echo?q={quote('é')}&q=b%26"
        assert page.json()["q"] == ["é", "b&"]

    @pytest.mark.parametrize(
        "way", ["/x.css", ";x.css", "%2f..%2fecho", "%2e%2e", "//", "/%2e/x.js", "%00.css", "%3Bx.css", "%23x", "%3Fx"]
    )
    def test_a_path_made_to_look_static_never_yields_anothers_page(self, way: str) -> None:
        """Cache deception: the entry of a path is for who may have it, however the path ends."""
        given_cache_policy("pages", shared_by="user")
        alice, bob, stranger = Client(), Client(), Client()
        alice.force_login(given_user("alice"))
        bob.force_login(given_user("bob"))
        alice.get("/api/echo")
        hers = alice.get(f"/api/echo{way}")
        for other in (bob, stranger):
            page = other.get(f"/api/echo{way}")
            assert page.status_code == hers.status_code
            assert b"alice" not in page.content
        if hers.status_code == 200:
            assert hers.json()["user"] == "alice", "so the page was computed, and kept, for her"

    def test_neither_do_two_ways_to_write_a_path_share_a_page(self) -> None:
        given_cache_policy()
        ways = ["a/b", "a//b", "a/./b", "a;/b", "a%2Fb%20", "A/b", "a/b/"]
        assert [Client().get(f"/api/echo/{way}").json()["rest"] for way in ways] == [
            "a/b", "a//b", "a/./b", "a;/b", "a/b ", "A/b", "a/b/"
        ]  # fmt: skip


class TestWhoMaySeeAPageIsAskedOnEveryHit:
    """Ticket 15855 and its kind: authentication, permissions and limits that run on a miss only."""

    @pytest.fixture
    def alice(self) -> Any:
        given_cache_policy()
        user = given_user("alice")
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth", codename="view_group"))
        return user

    @pytest.fixture
    def client(self, alice: Any) -> Client:
        client = Client()
        client.force_login(alice)
        assert not is_hit(client.get("/api/groups"))
        assert is_hit(client.get("/api/groups"))
        return client

    def test_a_stranger_gets_nothing_of_a_page_shared_by_everyone(self, client: Client) -> None:
        assert Client().get("/api/groups").status_code in (401, 403)

    def test_a_deactivated_account_is_refused_at_once(self, client: Client, alice: Any) -> None:
        alice.is_active = False
        alice.save()
        assert client.get("/api/groups").status_code in (401, 403)

    def test_a_changed_password_ends_the_session_at_once(self, client: Client, alice: Any) -> None:
        alice.set_password("another horse")
        alice.save()
        assert client.get("/api/groups").status_code in (401, 403)

    def test_a_hit_counts_against_the_limit(self, client: Client) -> None:
        given_limit(limit=2)
        assert [client.get("/api/groups").status_code for _ in range(3)] == [200, 200, 429]

    def test_what_a_role_gets_changes_with_the_role(self) -> None:
        given_cache_policy(shared_by="role")
        analysts = Group.objects.create(name="analyst")
        user = given_user("alice", "viewer")
        client = Client()
        client.force_login(user)
        viewers = client.get("/api/browsable").json()
        user.groups.add(analysts)
        assert client.get("/api/browsable").json() != viewers
        user.groups.remove(analysts)
        assert client.get("/api/browsable").json() == viewers


class TestWhatABrowserGotIsItsOwn:
    def test_a_token_against_forgery_is_never_anothers(self) -> None:
        """The cookie is set above the cache, so only the request tells that there is a token in the page."""
        first, second = ask_twice("/api/form")
        assert first.content != second.content
        assert {"csrftoken"} == set(first.cookies) == set(second.cookies)

    def test_neither_is_that_of_a_form_in_the_browsable_api(self) -> None:
        given_cache_policy(shared_by="role")
        pages = []
        for name in ("alice", "bob"):
            client = Client(headers={"Accept": "text/html"})
            client.force_login(given_user(name, "viewer"))
            pages.append(client.get("/api/browsable").content.decode())
        assert "alice" in pages[0]
        assert "alice" not in pages[1]

    def test_a_message_is_shown_once(self) -> None:
        given_cache_policy(shared_by="everyone")
        client = Client()
        client.cookies["messages"] = _message_cookie("for alice")
        assert client.get("/api/flashed").content == b"for alice"
        assert Client().get("/api/flashed").content == b""
        assert client.get("/api/flashed").content == b""


def _message_cookie(text: str) -> str:
    """What `messages` leaves in a browser between two requests."""
    request = RequestFactory().get("/")
    storage = messages.storage.cookie.CookieStorage(request)
    storage.add(messages.INFO, text)
    response = HttpResponse()
    storage.update(response)
    return str(response.cookies["messages"].value)


class TestWhatIsNeverKept:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Content_Range": "bytes 0-1/5"},
            {"Content_Type": "text/event-stream"},
            {"Content_Security_Policy_Report_Only": "script-src 'nonce-abc'"},
            {"Clear_Site_Data": '"cookies"'},
            {"Cache_Control": "max-age=60 private"},
            {"Cache_Control": "private foo, max-age=60"},
            {"Cache_Control": 'x="a\\"b, private"'},
            {"Cache_Control": 'no-cache="Set-Cookie"'},
            {"Cache_Control": "\tNo-Store ;x"},
            {"Vary": "accept,\t*"},
        ],
    )
    def test_what_speaks_of_one_exchange_only(self, headers: dict[str, str]) -> None:
        first, second = ask_twice(shaped(**headers))
        assert first.content != second.content

    def test_what_stands_quoted_in_an_extension_forbids_nothing(self) -> None:
        assert is_hit(ask_twice(shaped(Cache_Control='x="private, no-store"'))[1])

    def test_a_304_that_the_view_gave_to_one_client(self) -> None:
        assert Client(headers={"If-None-Match": '"of-the-view"'}).get("/api/conditional").status_code == 304
        assert [page.status_code for page in ask_twice("/api/conditional")] == [200, 200]

    def test_a_part_that_the_view_gave_to_one_client(self) -> None:
        assert Client(headers={"Range": "bytes=0-1"}).get("/api/ranged").status_code == 206
        assert [page.content for page in ask_twice("/api/ranged")] == [b"whole", b"whole"]

    def test_what_a_middleware_adds_above_the_cache(self) -> None:
        """Neither Set-Cookie nor Vary of SessionMiddleware is in an entry."""
        user = Client()
        user.force_login(given_user())
        with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
            assert "sessionid" in user.get("/api/shaped").cookies
            assert not Client().get("/api/shaped").cookies


class TestAHitIsWhatTheMissWas:
    ONE_EXCHANGE = {
        "Connection": "x-hop", "X_Hop": "1", "Keep_Alive": "1", "X_RateLimit_Remaining": "3", "RateLimit": "3",
        "Retry_After": "3", "Server_Timing": "a;dur=3", "Age": "77", "X_Request_ID": "of-the-first",
        "Proxy_Connection": "close", "Proxy_Authentication_Info": "x", "Authentication_Info": "x",
    }  # fmt: skip

    def test_without_what_belonged_to_one_exchange(self) -> None:
        _, second = ask_twice(shaped(X_Colour="blue", **self.ONE_EXCHANGE))
        assert is_hit(second)
        assert second.headers["X-Colour"] == "blue"
        for name, value in self.ONE_EXCHANGE.items():
            assert second.headers.get(name.replace("_", "-")) != value

    @pytest.mark.parametrize("order", [("GET", "HEAD", "GET"), ("HEAD", "HEAD", "GET")])
    def test_for_head_as_well_but_for_the_body(self, order: tuple[str, ...]) -> None:
        given_cache_policy()
        got = [client_for().generic(method, "/api/echo") for method in order]
        assert [len(page.content) > 0 for page in got] == [method == "GET" for method in order]
        if order[0] == "GET":
            assert is_hit(got[1])
            assert len({page.headers["ETag"] for page in got}) == 1
            assert {page.headers["Content-Length"] for page in got} == {str(len(got[0].content))}

    def test_a_head_that_the_view_answers_by_itself_leaves_no_empty_page(self) -> None:
        given_cache_policy()
        assert Client().head("/api/ranged").status_code == 200
        assert Client().get("/api/ranged").content == b"whole"

    def test_a_304_says_what_the_200_would_have_said(self) -> None:
        given_cache_policy(shared_by="user")
        page = client_for().get("/api/browsable")
        assert re.fullmatch(r'"[^"]+"', page.headers["ETag"])
        unchanged = client_for().get("/api/browsable", headers={"If-None-Match": page.headers["ETag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Vary"):
            assert unchanged.headers[name] == page.headers[name]
        assert is_hit(client_for().get("/api/browsable")), "and it took nothing away"

    def test_compressed_above_the_cache_it_still_has_its_validator(self) -> None:
        given_cache_policy()
        above = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
        with override_settings(MIDDLEWARE=above, PERF_COMPRESS_BYTES=0):
            path = f"/api/echo/{'long/' * 100}"
            client = client_for(**{"Accept-Encoding": "gzip"})
            page = client.get(path)
            assert page.headers["Content-Encoding"] == "gzip"
            assert client.get(path, headers={"If-None-Match": page.headers["ETag"]}).status_code == 304
            assert client_for().get(path).json()["calls"], "and others get it as they can read it"

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refusal_is_never_hidden_by_an_older_answer(self, status: int) -> None:
        given_cache_policy(ttl=10, stale_if_error=600)
        refusing: list[int] = []
        with during_computing(lambda: refusing and _refuse(refusing[0])):
            assert client_for().get("/api/interrupted").status_code == 200
            age_entries(20)
            refusing.append(status)
            assert client_for().get("/api/interrupted").status_code == status


def _refuse(status: int) -> None:
    from django.core.exceptions import PermissionDenied
    from django.http import Http404

    from perf.problems import Problem

    raise {401: Problem(401, "Who are you?", "Sign in."), 403: PermissionDenied(), 404: Http404()}[status]


@contextmanager
def during_computing(happen: Callable[[], object]) -> Iterator[None]:
    """Let something happen whenever `interrupted` is computed."""
    trap_views.during.append(happen)
    try:
        yield
    finally:
        trap_views.during.clear()
