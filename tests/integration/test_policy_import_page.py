"""Export and import at the list of revisions: an upload is shown first, and counts when what was shown is confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from perf.models import CachePolicy, RateLimitPolicy, Revision
from perf.policies.documents import MAX_BYTES
from perf.policies.revisions import POLICY_MODELS, head_number
from perf.policies.transfer import exported
from tests.integration.helpers import given_limit, given_user, staff_with
from tests.integration.test_policy_transfer import document_of, some_policies

IMPORT = "admin:perf_revision_import"


@pytest.fixture
def admin() -> Client:
    """A browser signed in as superuser."""
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def upload(client: Client, text: str, name: str = "policies.yaml", **fields: Any) -> Any:
    """The first step of an import."""
    return client.post(reverse(IMPORT), {"file": SimpleUploadedFile(name, text.encode()), **fields})


def confirm(client: Client, shown: Any, **fields: Any) -> Any:
    """The second step: the form of the page ``shown``, sent back as it is but for ``fields``."""
    form = shown.context["confirm"]
    values = {field.html_name: field.value() for field in form if field.value() is not False}
    return client.post(reverse(IMPORT), {**values, **fields}, follow=True)


def test_the_list_of_revisions_offers_both(admin: Client) -> None:
    page = admin.get(reverse("admin:perf_revision_changelist")).content.decode()
    assert reverse("admin:perf_revision_export") in page and reverse(IMPORT) in page


def test_an_export_is_a_file(admin: Client) -> None:
    some_policies()
    response = admin.get(reverse("admin:perf_revision_export"))
    assert response.content.decode() == exported("yaml")
    assert response["Content-Disposition"] == 'attachment; filename="policies.yaml"'


def test_an_import_is_shown_first_and_then_applied_as_one_revision(admin: Client) -> None:
    given_limit("limit", limit=50)
    text = exported("yaml").replace("limit: 50", "limit: 60")
    text = text.replace("CachePolicy: {}", 'CachePolicy: {cached: {route: /api/*, comment: "ä\\u2028 b"}}')
    before = head_number()
    shown = upload(admin, text)
    page = shown.content.decode()
    assert "<td>limit</td><td>50</td><td>60</td>" in page and "cached (CachePolicy)" in page
    assert (head_number(), RateLimitPolicy.objects.get().limit) == (before, 50)
    response = confirm(admin, shown, change_reason="from git")
    assert "2 policies imported." in response.content.decode()
    assert (head_number(), RateLimitPolicy.objects.get().limit) == (before + 1, 60)
    assert CachePolicy.objects.get().comment == "ä\u2028 b"
    revision = Revision.objects.first()
    assert (revision.author.username, revision.reason) == ("root", "from git")


def test_pruning_is_asked_for(admin: Client) -> None:
    text = exported("yaml")
    given_limit("limit")
    confirm(admin, upload(admin, text, prune="on"))
    assert not RateLimitPolicy.objects.exists()


def test_what_is_already_so_has_no_button(admin: Client) -> None:
    given_limit("limit")
    page = upload(admin, exported("json"), "policies.json").content.decode()
    assert "No difference" in page and 'name="number"' not in page


def test_what_changed_in_between_is_shown_anew_instead_of_applied(admin: Client) -> None:
    policy = given_limit("limit", limit=50)
    shown = upload(admin, exported("yaml").replace("limit: 50", "limit: 60"))
    policy.limit = 70
    policy.save()
    before = head_number()
    again = confirm(admin, shown)
    page = again.content.decode()
    assert "changed meanwhile" in page and "<td>limit</td><td>70</td><td>60</td>" in page
    assert (head_number(), RateLimitPolicy.objects.get().limit) == (before, 70)
    confirm(admin, again)
    assert RateLimitPolicy.objects.get().limit == 60


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\nRateLimitPolicy: {bad: {limt: 5}}", "bad: limt: there is no such field"),
        ("version: 1\nRateLimitPolicy: {bad: {route: '*'}}", "bad: limit: This field cannot be null"),
        ("# " + "x" * MAX_BYTES, "larger than 1 MiB"),
    ],
    ids=["structure", "validation", "size"],
)
def test_what_cannot_be_imported_is_explained(admin: Client, text: str, problem: str) -> None:
    page = upload(admin, text).content.decode()
    assert problem in page and 'name="number"' not in page
    assert not RateLimitPolicy.objects.exists()


def test_what_a_form_claims_to_have_shown_is_read_as_carefully(admin: Client) -> None:
    given_limit("limit", limit=50)
    shown = upload(admin, exported("yaml").replace("limit: 50", "limit: 60"))
    bad = document_of(RateLimitPolicy={"limit": {"route": "*", "limit": 0}})
    assert "greater than or equal to 1" in confirm(admin, shown, document=bad).content.decode()
    assert "cannot be read" in confirm(admin, shown, document="{").content.decode()
    assert RateLimitPolicy.objects.get().limit == 50


def test_needs_a_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    assert upload(client, "version: 1").status_code == 403


def test_runs_under_the_strict_policy_for_contents(admin: Client) -> None:
    given_limit("limit", limit=50)
    for page in (admin.get(reverse(IMPORT)), upload(admin, exported("yaml").replace(" 50", " 60"))):
        assert page["Content-Security-Policy"].startswith("default-src 'self'")
        content = page.content.decode().split('id="content-main"')[1]
        assert "<script" not in content and "style=" not in content and "onclick" not in content


def test_permissions() -> None:
    changing = [f"change_{model._meta.model_name}" for model in POLICY_MODELS]
    export, page = reverse("admin:perf_revision_export"), reverse(IMPORT)
    for permissions, may_export, may_import in (
        ([], 403, 403),
        (["view_revision"], 200, 403),
        (["view_revision", "bring_back_revision", *changing[1:]], 200, 403),
        (["view_revision", *changing], 200, 403),
        (["view_revision", "bring_back_revision", *changing], 200, 403),
        (["view_revision", "bring_back_revision", "publish_revision", *changing], 200, 200),
    ):
        get_user_model().objects.filter(username="clerk").delete()
        client = staff_with(*permissions)
        assert (client.get(export).status_code, client.get(page).status_code) == (may_export, may_import)
        assert upload(client, "version: 1").status_code == may_import
        if may_export == 200:
            listed = client.get(reverse("admin:perf_revision_changelist")).content.decode()
            assert (page in listed) is (may_import == 200)
