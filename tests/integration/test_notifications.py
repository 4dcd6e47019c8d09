"""Notifications: who gets them, once; who sees them, and marks them as read."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from django.db import connections, transaction

from securenet.accounts.models import User
from securenet.notifications.models import Notification
from securenet.notifications.notify import Message, notify, notify_of
from tests.integration.people import client_for, client_of, fields_of, given_user, staff_client

NOTIFICATIONS = "/api/notifications"


def given_notification(user: User, title: str = "Something happened", **fields: Any) -> Notification:
    return Notification.objects.create(user=user, title=title, **fields)


def told(*roles: str, title: str = "Something happened", **fields: Any) -> int:
    return notify(**{"roles": roles, "title": title, "body": "", "severity": "high", **fields})


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [notification["title"] for notification in response.json()["results"]]


# --- Who gets them


def test_everybody_with_one_of_the_roles_is_told_once():
    both = given_user("soc_analyst", "security_admin")
    one = given_user("soc_analyst")
    given_user("viewer")
    given_user("soc_analyst", is_active=False)
    assert told("soc_analyst", "security_admin", body="How.", link="/there", severity="critical") == 2
    rows = Notification.objects.order_by("user_id")
    assert [row.user for row in rows] == [both, one]
    assert (rows[0].title, rows[0].body, rows[0].severity, rows[0].link, rows[0].read_at) == (
        "Something happened",
        "How.",
        "critical",
        "/there",
        None,
    )


def test_nobody_with_the_role_is_nobody_told():
    given_user("viewer")
    assert told("soc_analyst") == 0
    assert told() == 0


def test_the_same_thing_is_told_again_only_to_those_who_have_read_it():
    reader, busy = given_user("soc_analyst"), given_user("soc_analyst")
    assert told("soc_analyst", key="disk-full") == 2
    assert told("soc_analyst", key="disk-full") == 0
    row = Notification.objects.get(user=reader)
    client_for(reader).patch(f"{NOTIFICATIONS}/{row.pk}", {"read": True})
    assert told("soc_analyst", key="disk-full") == 1
    assert Notification.objects.filter(user=reader).count() == 2
    assert Notification.objects.filter(user=busy).count() == 1


def test_things_without_a_key_are_told_each_time():
    given_user("soc_analyst")
    assert [told("soc_analyst"), told("soc_analyst")] == [1, 1]


def test_several_things_are_told_in_a_number_of_queries_that_does_not_grow(django_assert_max_num_queries):
    users = [given_user("soc_analyst") for _ in range(5)]
    messages = [Message(f"Thing {number}", "", "high", key=f"thing-{number}") for number in range(20)]
    with django_assert_max_num_queries(5), transaction.atomic():
        assert notify_of(messages, roles=["soc_analyst"]) == 100
    assert notify_of([*messages, Message("Another", "", "low")], roles=["soc_analyst"]) == 5
    assert Notification.objects.filter(user=users[0]).count() == 21


def test_titles_are_cut_to_what_fits():
    given_user("soc_analyst")
    told("soc_analyst", title="t" * 1000)
    assert len(Notification.objects.get().title) == 300


def test_a_transaction_that_is_rolled_back_told_nobody():
    user = given_user("soc_analyst")
    client = client_for(user)
    assert titles(client.get(NOTIFICATIONS)) == []
    with pytest.raises(RuntimeError), transaction.atomic():
        told("soc_analyst")
        raise RuntimeError("and back")
    answer = client.get(NOTIFICATIONS)
    assert titles(answer) == []
    assert "hit" in answer["Cache-Status"]


def test_importing_the_package_loads_no_models():
    code = "import securenet.notifications, sys; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Who sees them


def test_people_see_their_own_newest_first_and_nobody_elses():
    alice, bob = given_user("viewer"), given_user("viewer")
    for title in ("first", "second"):
        given_notification(alice, title)
    given_notification(bob, "of bob")
    assert titles(client_for(alice).get(NOTIFICATIONS)) == ["second", "first"]
    assert titles(client_for(bob).get(NOTIFICATIONS)) == ["of bob"]


def test_not_even_owners_see_or_mark_those_of_others():
    row = given_notification(given_user("viewer"))
    owner = client_of("platform_owner")
    assert titles(owner.get(NOTIFICATIONS)) == []
    answer = owner.patch(f"{NOTIFICATIONS}/{row.pk}", {"read": True})
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    row.refresh_from_db()
    assert row.read_at is None


@pytest.mark.parametrize("pk", ["0", "999999", "9" * 30])
def test_what_does_not_exist_is_not_found(pk: str):
    assert client_of("viewer").patch(f"{NOTIFICATIONS}/{pk}", {"read": True}).status_code == 404


def test_strangers_are_asked_to_sign_in(client):
    row = given_notification(given_user("viewer"))
    assert client.get(NOTIFICATIONS).status_code == 401
    assert client.patch(f"{NOTIFICATIONS}/{row.pk}", {"read": True}, "application/json").status_code == 401


def test_a_list_is_one_query(django_assert_num_queries):
    user = given_user("viewer")
    for _ in range(20):
        given_notification(user)
    client = client_for(user)
    client.get(f"{NOTIFICATIONS}?severity=low")  # from here on the policies are known
    with django_assert_num_queries(1):
        assert len(titles(client.get(NOTIFICATIONS))) == 20


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("unread=true", ["new"]),
        ("unread=false", ["old"]),
        ("severity=high", ["new"]),
        ("severity=high&severity=info", ["new", "old"]),
        ("unread=false&severity=high", []),
    ],
)
def test_notifications_are_found_by(query: str, expected: list[str]):
    user = given_user("viewer")
    client = client_for(user)
    old = given_notification(user, "old")
    given_notification(user, "new", severity="high")
    client.patch(f"{NOTIFICATIONS}/{old.pk}", {"read": True})
    assert titles(client.get(f"{NOTIFICATIONS}?{query}")) == expected


@pytest.mark.parametrize("query", ["unread=maybe", "severity=awful"])
def test_a_filter_value_that_makes_no_sense_is_refused(query: str):
    answer = client_of("viewer").get(f"{NOTIFICATIONS}?{query}")
    assert answer.status_code == 400
    assert fields_of(answer) == {query.partition("=")[0]}


# --- Marking as read


def test_a_notification_is_read_and_unread_again_and_the_next_answer_says_so():
    user = given_user("viewer")
    row, client = given_notification(user), client_for(user)
    address = f"{NOTIFICATIONS}/{row.pk}"
    assert client.get(NOTIFICATIONS).json()["results"][0]["read"] is False
    assert "hit" in client.get(NOTIFICATIONS)["Cache-Status"]
    answer = client.patch(address, {"read": True})
    assert (answer.status_code, answer.json()["read"]) == (200, True)
    [listed] = client.get(NOTIFICATIONS).json()["results"]
    assert listed["read"] is True
    assert listed["read_at"] == answer.json()["read_at"]
    assert client.patch(address, {"read": True}).json()["read_at"] == listed["read_at"]
    assert client.patch(address, {"read": False}).json()["read_at"] is None
    assert client.get(NOTIFICATIONS).json()["results"][0]["read"] is False


def test_one_persons_reading_leaves_the_answers_of_others_right():
    alice, bob = given_user("soc_analyst"), given_user("soc_analyst")
    told("soc_analyst", key="k")
    for user in (alice, bob):
        assert client_for(user).get(NOTIFICATIONS).json()["results"][0]["read"] is False
    client_for(alice).patch(f"{NOTIFICATIONS}/{Notification.objects.get(user=alice).pk}", {"read": True})
    assert client_for(alice).get(NOTIFICATIONS).json()["results"][0]["read"] is True
    assert client_for(bob).get(NOTIFICATIONS).json()["results"][0]["read"] is False


def test_a_read_one_becomes_unread_beside_a_newer_one_of_the_same_key():
    user = given_user("soc_analyst")
    client = client_for(user)
    told("soc_analyst", key="k")
    first = Notification.objects.get()
    client.patch(f"{NOTIFICATIONS}/{first.pk}", {"read": True})
    told("soc_analyst", key="k")
    assert client.patch(f"{NOTIFICATIONS}/{first.pk}", {"read": False}).status_code == 200
    assert len(titles(client.get(f"{NOTIFICATIONS}?unread=true"))) == 2


def test_what_is_new_shows_in_the_next_answer():
    user = given_user("soc_analyst")
    client = client_for(user)
    assert titles(client.get(NOTIFICATIONS)) == []
    told("soc_analyst")
    assert titles(client.get(NOTIFICATIONS)) == ["Something happened"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "read"),
        ({"read": "yes"}, "read"),
        ({"read": 1}, "read"),
        ({"read": None}, "read"),
        ({"read": True, "title": "mine now"}, "title"),
        ([True], ""),
    ],
)
def test_only_read_can_be_changed_to_true_or_false(body: Any, field: str):
    user = given_user("viewer")
    row = given_notification(user)
    answer = client_for(user).patch(f"{NOTIFICATIONS}/{row.pk}", body)
    assert answer.status_code == 400
    assert fields_of(answer) == {field}
    row.refresh_from_db()
    assert (row.title, row.read_at) == ("Something happened", None)


@pytest.mark.parametrize("method", ["put", "delete", "get"])
def test_nothing_else_can_be_done_to_one(method: str):
    user = given_user("viewer")
    row = given_notification(user)
    assert getattr(client_for(user), method)(f"{NOTIFICATIONS}/{row.pk}").status_code == 405
    assert client_for(user).post(NOTIFICATIONS, {"title": "x"}).status_code == 405


# --- Admin


def test_the_admin_pages_open_and_search():
    row = given_notification(given_user("viewer"), "<b>x</b>")
    client = staff_client("platform_owner")
    html = client.get("/admin/notifications/notification/?q=user&severity__exact=info").content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert client.get(f"/admin/notifications/notification/{row.pk}/change/").status_code == 200
    assert client.get("/admin/notifications/notification/add/").status_code == 403


# --- The same thing once, whatever happens meanwhile


def test_what_was_marked_unread_again_is_not_told_a_second_time():
    user = given_user("soc_analyst")
    told("soc_analyst", key="disk-full")
    row = Notification.objects.get()
    for is_read in (True, False):
        client_for(user).patch(f"{NOTIFICATIONS}/{row.pk}", {"read": is_read})
    assert told("soc_analyst", key="disk-full") == 0
    assert Notification.objects.get().key == "disk-full"


def test_of_two_unread_ones_about_the_same_thing_the_newer_keeps_the_key():
    user = given_user("soc_analyst")
    client = client_for(user)
    told("soc_analyst", key="disk-full")
    older = Notification.objects.get()
    client.patch(f"{NOTIFICATIONS}/{older.pk}", {"read": True})
    told("soc_analyst", key="disk-full")
    client.patch(f"{NOTIFICATIONS}/{older.pk}", {"read": False})
    assert list(Notification.objects.order_by("pk").values_list("key", flat=True)) == ["", "disk-full"]
    assert told("soc_analyst", key="disk-full") == 0


def test_many_who_tell_the_same_thing_at_once_tell_it_once():
    for _ in range(3):
        given_user("soc_analyst")
    together = threading.Barrier(6)
    failures: list[BaseException] = []

    def tell() -> None:
        try:
            together.wait(10)
            told("soc_analyst", key="disk-full")
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert Notification.objects.count() == 3
