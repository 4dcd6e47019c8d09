"""The admin's access tables against the site: every page, for strangers, people and staff of every role."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from perf.models import Revision
from securenet.accounts.models import User
from securenet.accounts.roles import install_roles
from tests.integration.helpers import given_limit
from tests.integration.people import given_user, staff_client
from tests.security.admin_table import MODELS, OPEN_TO_ALL, PAGES, QUEUES, STAFF
from tests.security.url_patterns import routes

REFUSED = {401, 403, 404}
ROW = "<path:object_id>/"
PAGES_OF_A_MODEL = ("", "add/", ROW, f"{ROW}history/", f"{ROW}change/", f"{ROW}delete/")
ABOUT_QUEUES = re.compile(QUEUES + "(queues|workers|schedulers|cron-schedulers)/")


def models_table() -> dict[str, tuple[str, ...]]:
    _, _, *lines = MODELS.splitlines()
    return {name: tuple(cells) for name, *cells in map(str.split, lines)}


def pages_table() -> dict[str, tuple[tuple[str, ...], str]]:
    """By pattern: what each of the staff may, and the path to ask for."""
    _, _, *lines = PAGES.splitlines()
    rows = [line.split() for line in lines]
    return {row[0]: (tuple(row[1:6]), row[6] if len(row) > 6 else row[0]) for row in rows}


def clients() -> list[Client]:
    """A browser for each of `STAFF`."""
    plain = Client()
    plain.force_login(given_user(is_staff=True))
    return [plain, *(staff_client(role) for role in STAFF[1:])]


def admin_paths() -> list[str]:
    """A path for every pattern of the admin but those for signing in and out."""
    pages = {route: path for route, (_, path) in pages_table().items()}
    given = [pages.get(route, route) for route in routes() if route.startswith("admin/") and route not in OPEN_TO_ALL]
    return ["/" + re.sub(r"<[^>]+>|\{\w+\}", "1", path) for path in given]


def test_the_tables_name_every_page_of_the_admin():
    registered = {f"{model._meta.app_label}.{model._meta.model_name}" for model in admin.site._registry}
    assert registered == set(models_table())
    of_models = {f"admin/{name.replace('.', '/')}/{page}" for name in registered for page in PAGES_OF_A_MODEL}
    about_queues = {route for route in routes() if ABOUT_QUEUES.match(route)}
    listed = of_models | about_queues | OPEN_TO_ALL | set(pages_table())
    assert {route for route in routes() if route.startswith("admin/")} == listed


@pytest.mark.parametrize("role", [None, "platform_owner"], ids=["a stranger", "an owner who is not of the staff"])
def test_only_staff_get_past_the_sign_in_page(role: str | None):
    client = Client()
    if role:
        client.force_login(given_user(role))
    for path in admin_paths():
        for answer in (client.get(path), client.post(path)):
            led_away = answer.status_code == 302 and "login" in answer["Location"]
            assert led_away or answer.status_code in REFUSED, (path, answer.status_code)


def test_models_are_seen_and_edited_as_the_table_says():
    """By what Django's views ask before they do anything; that they ask is tested on pages below."""
    install_roles()
    staff = [given_user(*([role] if role else []), is_staff=True) for role in STAFF]
    answered = {
        f"{model._meta.app_label}.{model._meta.model_name}": tuple(_letters(of_model, user) for user in staff)
        for model, of_model in admin.site._registry.items()
    }
    assert answered == models_table()


def _letters(of_model: admin.ModelAdmin[Any], user: User) -> str:
    request = RequestFactory().get("/")
    request.user = user
    asked = {
        "v": of_model.has_view_permission,
        "a": of_model.has_add_permission,
        "c": of_model.has_change_permission,
        "d": of_model.has_delete_permission,
    }
    return "".join(letter if may(request) else "-" for letter, may in asked.items())


def test_pages_of_models_obey_the_table():
    """For those who may least and for those who may see, on pages of rows that are not there."""
    for role in ("viewer", "soc_analyst"):
        client = staff_client(role)
        for model in ("perf.ratelimitpolicy", "accounts.user", "security.finding"):
            cells = models_table()[model][STAFF.index(role)]
            pages = {"v": ("get", "change"), "c": ("post", "change"), "d": ("post", "delete")}
            for letter, (method, page) in pages.items():
                url = reverse(f"admin:{model.replace('.', '_')}_{page}", args=[999_999])
                refused = getattr(client, method)(url).status_code == 403
                assert refused == (letter not in cells), (role, model, letter)


def test_other_pages_are_open_as_the_table_says():
    given_limit()
    fillings = {"revision": Revision.objects.first().pk, "user": given_user().pk}
    staff = clients()
    answered = {}
    for route, (_, path) in pages_table().items():
        statuses = [client.get("/" + path.format(**fillings)).status_code for client in staff]
        answered[route] = tuple("-" if status in REFUSED else "+" for status in statuses)
    assert answered == {route: cells for route, (cells, _) in pages_table().items()}


@pytest.mark.parametrize("role", ["viewer", "soc_analyst"])
def test_no_page_about_queues_is_open_to_staff_who_may_not_see_jobs(role: str):
    client = staff_client(role)
    paths = [path for path in admin_paths() if path.startswith("/" + QUEUES)]
    assert len(paths) > 25
    answers = {path: {client.get(path).status_code, client.post(path).status_code} for path in paths}
    assert {path: found for path, found in answers.items() if found != {403}} == {}


def test_a_queues_rows_and_jobs_that_are_not_there_are_no_failure():
    client = staff_client("platform_owner")
    assert client.get(f"/{QUEUES}1/change/").status_code == 302
    for page in ("delete", "requeue", "enqueue"):
        assert client.get(f"/{QUEUES}queues/0/no-such-job/{page}/").status_code == 404


def test_nobody_but_owners_can_give_roles_in_the_admin():
    user = given_user()
    form = {"username": user.username, "is_superuser": "on", "is_staff": "on"}
    for role in ("viewer", "soc_analyst", "security_admin"):
        answer = staff_client(role).post(reverse("admin:accounts_user_change", args=[user.pk]), form)
        assert answer.status_code == 403
    user.refresh_from_db()
    assert (user.is_superuser, user.is_staff) == (False, False)
