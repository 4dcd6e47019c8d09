"""Jobs in the admin: the state of the queues, timelines, actions, and django-rq's own pages behind permissions."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django_rq.settings import get_queues_list

from perf.jobs import Job, states, submit
from perf.jobs.publish import waiting_messages
from perf.models import JobPolicy
from tests.integration.helpers import given_user

LIST = reverse("admin:perf_job_changelist")
QUEUES = reverse("admin:django_rq_dashboard_changelist")


def staff(*permissions: str) -> Client:
    """A browser of somebody of the staff who has these permissions of perf."""
    user = given_user("-".join(["clerk", *permissions]), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="perf", codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def queue_page(name: str, queue: str = "default") -> str:
    """The path of a page of django-rq about a queue; it counts them in its own order."""
    number = next(n for n, known in enumerate(get_queues_list()) if known["name"] == queue)
    return reverse(f"admin:django_rq_{name}", args=[number])


class TestTheList:
    def test_shows_how_full_the_queues_are(self) -> None:
        JobPolicy.objects.create(name="cache_warm", capacity=7)
        submit("cache_warm")
        states.claim(str(submit("cache_warm", {"roles": []}).pk))
        of_all, of_type = staff("view_job").get(LIST).context["overview"]
        assert (of_all.name, of_all.waiting, of_all.running, of_all.capacity) == ("", 1, 1, 100)
        assert (of_type.name, of_type.waiting, of_type.running, of_type.capacity) == ("cache_warm", 1, 1, 7)
        assert of_type.oldest_seconds >= 0
        assert of_type.ended_per_minute == 0

    def test_leads_to_the_pages_of_django_rq(self) -> None:
        assert f'href="{QUEUES}"' in staff("view_job").get(LIST).content.decode()

    def test_runs_failed_jobs_again_and_says_which_it_could_not(self) -> None:
        failed, waiting = submit("cache_warm"), submit("cache_warm", {"roles": []})
        states.fail(states.claim(str(failed.pk)), "no luck")
        chosen = {"action": "run_again", "_selected_action": [str(failed.pk), str(waiting.pk)]}
        page = staff("view_job", "change_job").post(LIST, chosen, follow=True).content.decode()
        failed.refresh_from_db()
        assert failed.status == "submitted"
        assert "To be run again: 1." in page
        assert "only failed and cancelled jobs can be run again" in page

    def test_offers_its_actions_only_to_those_who_may_change_jobs(self) -> None:
        job = submit("cache_warm")
        page = staff("view_job").post(LIST, {"action": "cancel", "_selected_action": [str(job.pk)]}, follow=True)
        assert 'value="cancel"' not in page.content.decode()
        job.refresh_from_db()
        assert job.status == "submitted"


def test_a_jobs_page_shows_its_timeline() -> None:
    job = submit("cache_warm", by=given_user("ada"))
    states.cancel(job, by="ben")
    page = staff("view_job").get(reverse("admin:perf_job_change", args=[job.pk])).content.decode()
    assert "ada" in page
    assert "ben" in page


class TestThePagesOfDjangoRQ:
    def test_are_closed_to_staff_without_a_permission_on_jobs(self) -> None:
        clerk = staff("view_cachepolicy")
        for url in (QUEUES, queue_page("jobs"), queue_page("clear"), reverse("admin:django_rq_home_json")):
            assert clerk.get(url).status_code == 403, url
            assert clerk.post(url).status_code == 403, url

    def test_ask_everybody_else_to_sign_in(self) -> None:
        answer = Client().get(queue_page("jobs"))
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]

    def test_can_be_read_by_those_who_may_see_jobs(self) -> None:
        clerk = staff("view_job")
        for url in (QUEUES, queue_page("jobs")):
            assert clerk.get(url).status_code == 200

    @pytest.mark.parametrize(("permissions", "left"), [(["view_job"], 1), (["view_job", "change_job"], 0)])
    def test_empty_a_queue_only_for_those_who_may_change_jobs(self, permissions: list[str], left: int) -> None:
        job = submit("cache_warm")
        answer = staff(*permissions).post(queue_page("clear", job.queue), {"post": "yes"})
        assert answer.status_code == (403 if left else 302)
        assert len(waiting_messages()) == left
        assert Job.objects.get().status == "submitted"  # the row is the truth: recovery publishes it again
