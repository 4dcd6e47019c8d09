"""Whatever a form of policies is sent, it is saved or refused with words at its fields: never an error, never unsaid.

What it saves has to be a policy that every process can compile.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perf.models import AccessRule, CachePolicy, JobPolicy, RateLimitPolicy
from perf.policies.compile import load_snapshot
from tests.integration.helpers import given_user

MODELS = (CachePolicy, RateLimitPolicy, AccessRule, JobPolicy)
FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str), st.sampled_from(["", "0", "-1", "1e9", "NaN", "inf", "٣", "1,000", " 7 "])
)
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["/api/*", "*" * 300, "/" * 3000, "security:findings", "\x00", "'\"><script>", "{{7*7}}", "[", "a" * 70_000]
    ),
)
values = st.one_of(numbers, texts)


@pytest.fixture
def admin() -> Client:
    """A superuser's browser, in which an exception of the server is an answer with 500."""
    client = Client(raise_request_exception=False)
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    Group.objects.get_or_create(name="viewer")
    return client


def fields_of(client: Client, url: str) -> dict[str, Any]:
    """What the form would send unedited: names and values."""
    form = client.get(url).context["adminform"].form
    given: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = field.prepare_value(form.get_initial_for_field(field, name))
        given[name] = "" if value is None or value is False else "on" if value is True else value
    return given


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_a_form_saves_or_says_what_is_wrong(admin: Client, model: Any) -> None:
    url = reverse(f"admin:perf_{model._meta.model_name}_add")
    initial = fields_of(admin, url)

    @FUZZ
    @given(edits=st.dictionaries(st.sampled_from(sorted(initial)), values, min_size=1, max_size=len(initial)))
    @example(edits={"name": "plain", "route": "/api/*"})
    def post(edits: dict[str, str]) -> None:
        before = model.objects.count()
        response = admin.post(url, {**initial, **edits})
        assert response.status_code in (200, 302), (response.status_code, edits)
        if response.status_code == 302:
            assert model.objects.count() == before + 1
            load_snapshot()
        else:
            assert model.objects.count() == before
            assert response.context["adminform"].form.errors or response.context["errors"], edits

    post()


@pytest.mark.parametrize("model", [CachePolicy, RateLimitPolicy], ids=lambda model: model._meta.model_name)
def test_a_preview_answers_whatever_the_form_has(admin: Client, model: Any) -> None:
    url = reverse(f"admin:perf_{model._meta.model_name}_add")
    initial = fields_of(admin, url)

    @FUZZ
    @given(edits=st.dictionaries(st.sampled_from(sorted(initial)), values, min_size=1, max_size=len(initial)))
    def post(edits: dict[str, str]) -> None:
        before = model.objects.count()
        response = admin.post(url, {**initial, **edits, "_preview": "Preview"})
        assert response.status_code in (200, 302), (response.status_code, edits)
        assert model.objects.count() == before or response.status_code == 302

    post()


def test_try_it_answers_whatever_is_asked(admin: Client) -> None:
    @FUZZ
    @given(
        query=st.dictionaries(
            st.sampled_from(["method", "path", "who", "roles", "user", "address", "view", "scope"]), values
        )
    )
    def ask(query: dict[str, str]) -> None:
        response = admin.get("/admin/perf/try-it/", query)
        assert response.status_code in (200, 400), (response.status_code, query)

    ask()


def test_an_import_answers_whatever_the_document_is(admin: Client) -> None:
    url = reverse("admin:perf_revision_import")

    @FUZZ
    @given(
        document=st.one_of(
            texts,
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
                lambda children: st.one_of(
                    st.lists(children, max_size=3), st.dictionaries(st.text(max_size=8), children, max_size=3)
                ),
                max_leaves=10,
            ).map(repr),
        )
    )
    @example(document="rate_limits:\n- name: a\n  limit: 1e400\n")
    @example(document="&a [*a]")
    def post(document: str) -> None:
        upload = SimpleUploadedFile("policies.yaml", document.encode(errors="surrogatepass"))
        response = admin.post(url, {"file": upload})
        assert response.status_code == 200, (response.status_code, document)
        confirmed = admin.post(url, {"document": document, "number": "1", "prune": "on", "change_reason": "x"})
        assert confirmed.status_code in (200, 302), (confirmed.status_code, document)

    post()
