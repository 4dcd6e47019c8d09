"""Whose word on freshness counts, what is remembered of missing things, and how bodies are kept."""

from __future__ import annotations

import gzip
import random
from urllib.parse import quote

import pytest
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django_redis import get_redis_connection

from perf.caching import cache_api_response, invalidate
from tests.integration.helpers import client_for, given_cache_policy
from tests.integration.test_response_cache import age_entries, calls

pytestmark = pytest.mark.urls("tests.integration.test_cache_freshness")


@cache_api_response()
def missing_page(request: HttpRequest) -> HttpResponse:
    missing_page.calls += 1  # type: ignore[attr-defined]
    raise Http404("no such page")


missing_page.calls = 0  # type: ignore[attr-defined]

urlpatterns = [path("api/missing-page", missing_page), path("", include("tests.integration.site"))]


def says(cache_control: str) -> str:
    """The path of a view that answers with this Cache-Control."""
    return f"/api/unstorable?how=own-freshness&says={quote(cache_control)}"


def fetch(url: str) -> object:
    """How often views were computed, as the answer to a GET says."""
    return calls(client_for().get(url))


class TestTheViewsOwnFreshness:
    @pytest.mark.parametrize("word", ["max-age=100", "public, max-age=100", "max-age=1, s-maxage=100", "MAX-AGE=100"])
    def test_it_counts_where_the_policy_honours_it(self, word: str) -> None:
        given_cache_policy(ttl=10, honour_origin_headers=True)
        first = fetch(says(word))
        age_entries(50)
        assert fetch(says(word)) == first, "longer than the TTL"
        age_entries(60)
        assert fetch(says(word)) != first, "but not longer than the view said"

    def test_it_does_not_count_otherwise(self) -> None:
        given_cache_policy(ttl=10)
        first = fetch(says("max-age=100"))
        age_entries(50)
        assert fetch(says("max-age=100")) != first

    def test_the_ttl_counts_where_the_view_says_nothing(self) -> None:
        given_cache_policy(ttl=10, honour_origin_headers=True)
        first = fetch("/api/counter")
        assert fetch("/api/counter") == first
        age_entries(11)
        assert fetch("/api/counter") != first

    def test_switching_it_off_counts_for_stored_entries(self) -> None:
        policy = given_cache_policy(ttl=10, honour_origin_headers=True)
        first = fetch(says("max-age=100"))
        age_entries(50)
        policy.honour_origin_headers = False
        policy.save()
        assert fetch(says("max-age=100")) != first

    def test_expires_counts_as_well(self) -> None:
        given_cache_policy(ttl=10, honour_origin_headers=True)
        for when, is_kept in (("Fri, 01 Jan 2100 00:00:00 GMT", True), ("Fri, 01 Jan 1999 00:00:00 GMT", False)):
            url = f"/api/unstorable?how=expires&says={when.replace(' ', '%20')}"
            first = fetch(url)
            age_entries(50)
            assert (fetch(url) == first) == is_kept

    @pytest.mark.parametrize(
        "word", ["max-age=1.5", "max-age=a100", "max-age=-5", "max-age=", 'max-age="x"', "s-maxage=²"]
    )
    def test_what_cannot_be_read_is_stale_and_no_error(self, word: str) -> None:
        given_cache_policy(ttl=100, honour_origin_headers=True)
        assert fetch(says(word)) != fetch(says(word))

    @pytest.mark.parametrize(
        "word", ["no-store", "no-store; x", "no-cache", "max-age=100, no-cache", "private, max-age=100"]
    )
    def test_what_it_forbids_is_not_stored(self, word: str) -> None:
        given_cache_policy(ttl=100, honour_origin_headers=True, shared_by="everyone")
        assert fetch(says(word)) != fetch(says(word))

    @pytest.mark.parametrize(("word", "is_stale"), [("max-age=10", True), ("max-age=10, must-revalidate", False)])
    def test_must_revalidate_forbids_stale_answers(self, word: str, is_stale: bool) -> None:
        given_cache_policy(ttl=10, honour_origin_headers=True, stale_while_revalidate=600)
        fetch(says(word))
        age_entries(20)
        status = client_for().get(says(word)).headers["Cache-Status"]
        assert ("fwd=stale" in status) == is_stale

    def test_the_views_own_header_reaches_the_client_on_miss_and_hit(self) -> None:
        given_cache_policy(ttl=10, honour_origin_headers=True)
        for _ in range(2):
            assert client_for().get(says("public, max-age=77")).headers["Cache-Control"] == "public, max-age=77"


class TestMissingThings:
    @pytest.mark.parametrize("how", ["not-found", "missing", "gone"])
    def test_they_are_remembered_for_as_long_as_the_policy_says(self, how: str) -> None:
        given_cache_policy(ttl=600, negative_ttl=10)
        url = f"/api/unstorable?how={how}"
        client = client_for()
        first, second = client.get(url), client.get(url)
        assert first.status_code == second.status_code in (404, 410)
        assert "fwd=miss; stored; ttl=10" in first.headers["Cache-Status"]
        assert "hit" in second.headers["Cache-Status"]
        age_entries(11)
        assert "fwd=miss" in client.get(url).headers["Cache-Status"]

    @pytest.mark.parametrize("how", ["not-found", "missing", "gone"])
    def test_they_are_not_remembered_by_default(self, how: str) -> None:
        given_cache_policy(ttl=600)
        url = f"/api/unstorable?how={how}"
        client = client_for()
        assert not any("hit" in client.get(url).headers["Cache-Status"] for _ in range(3))

    def test_each_answer_speaks_of_its_own_request(self) -> None:
        given_cache_policy(ttl=600, negative_ttl=10)
        client = client_for()
        ids = {client.get("/api/unstorable?how=not-found").json()["request_id"] for _ in range(3)}
        assert len(ids) == 3

    def test_plain_views_raise_it_again(self) -> None:
        given_cache_policy(negative_ttl=10)
        before = missing_page.calls  # type: ignore[attr-defined]
        assert [Client().get("/api/missing-page").status_code for _ in range(3)] == [404, 404, 404]
        assert missing_page.calls == before + 1  # type: ignore[attr-defined]

    def test_what_appears_is_seen_after_an_invalidation(self) -> None:
        given_cache_policy("missing", negative_ttl=600)
        client = client_for()
        client.get("/api/unstorable?how=missing")
        invalidate(policies=["missing"])
        assert "fwd=miss" in client.get("/api/unstorable?how=missing").headers["Cache-Status"]

    def test_a_policy_that_stops_remembering_counts_at_once(self) -> None:
        policy = given_cache_policy(negative_ttl=600)
        client = client_for()
        client.get("/api/unstorable?how=missing")
        policy.negative_ttl = 0
        policy.save()
        assert "hit" not in client.get("/api/unstorable?how=missing").headers["Cache-Status"]


class TestEarlyRefresh:
    def test_an_entry_that_soon_expires_is_refreshed_by_chance_and_one_request(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given_cache_policy(ttl=10)
        client = client_for()
        first = calls(client.get("/api/counter"))
        age_entries(9.9)
        monkeypatch.setattr(random, "expovariate", lambda _: 0.0)
        assert calls(client.get("/api/counter")) == first, "not this time"
        monkeypatch.setattr(random, "expovariate", lambda _: 1e6)
        assert calls(client.get("/api/counter")) > first

    def test_it_can_be_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(random, "expovariate", lambda _: 1e6)
        given_cache_policy(ttl=10)
        with override_settings(PERF_EARLY_REFRESH=0):
            assert fetch("/api/counter") == fetch("/api/counter")

    def test_it_begins_the_earlier_the_longer_computing_took_and_the_greater_the_setting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An entry is refreshed from (draw x setting x seconds it took) before its end."""
        monkeypatch.setattr(random, "expovariate", lambda _: 1.0)
        given_cache_policy(ttl=1000)
        first = fetch("/api/counter")
        with override_settings(PERF_EARLY_REFRESH=1.0):
            assert fetch("/api/counter") == first, "computing took much less than 1,000 s"
        with override_settings(PERF_EARLY_REFRESH=1e9):
            assert fetch("/api/counter") != first

    def test_chance_is_drawn_as_the_paper_has_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rates: list[float] = []
        monkeypatch.setattr(random, "expovariate", lambda rate: rates.append(rate) or 0.0)
        given_cache_policy()
        fetch("/api/counter")
        assert set(rates) == {1.0}


class TestCompression:
    def get(self, *encodings: str, **headers: str) -> HttpResponse:
        given = {"Accept-Encoding": ", ".join(encodings), **headers} if encodings else headers
        return client_for().get("/api/long", headers=given)

    def test_long_bodies_are_kept_compressed_and_sent_so_to_who_accepts_it(self) -> None:
        given_cache_policy()
        plain = self.get()
        for _ in range(2):
            compressed = self.get("br", "gzip")
            assert compressed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(compressed.content) == plain.content == self.get().content
            assert int(compressed.headers["Content-Length"]) == len(compressed.content)
        redis = get_redis_connection("default")
        (size,) = [redis.strlen(key) for key in redis.keys("*:entry:*") if redis.type(key) == b"string"]
        assert size < len(plain.content) / 10

    @pytest.mark.parametrize("refused", ["identity", "gzip;q=0", "br, gzip; q=0.0", "xgzip", "deflate"])
    def test_who_does_not_accept_it_gets_it_plain(self, refused: str) -> None:
        given_cache_policy()
        for _ in range(2):
            response = self.get(refused)
            assert "Content-Encoding" not in response.headers
            assert response.json()["padding"].startswith("security")

    def test_each_encoding_has_an_etag_of_its_own_and_varies(self) -> None:
        given_cache_policy()
        plain, compressed = self.get(), self.get("gzip")
        assert plain.headers["ETag"] != compressed.headers["ETag"]
        assert "Accept-Encoding" in plain.headers["Vary"]
        assert self.get("gzip", **{"If-None-Match": compressed.headers["ETag"]}).status_code == 304
        assert self.get(**{"If-None-Match": plain.headers["ETag"]}).status_code == 304

    def test_short_bodies_and_a_setting_leave_it_alone(self) -> None:
        given_cache_policy()
        assert "Content-Encoding" not in client_for().get("/api/counter", headers={"Accept-Encoding": "gzip"}).headers
        with override_settings(PERF_COMPRESS_BYTES=0):
            assert "Content-Encoding" not in self.get("gzip").headers
