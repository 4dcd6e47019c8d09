"""Detectors as an admin sets them, and findings that have their lines and grow."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from securenet.logs.detectors import DETECTORS
from securenet.logs.detectors.configuration import thresholds_of
from securenet.logs.evidence import MOST_LINES
from securenet.logs.models import DetectorSettings
from securenet.security.findings import triage
from securenet.security.models import Finding
from tests.integration.people import staff_client
from tests.integration.test_logs import NOW, analysed, attack, failed_login, given_lines

LIST = "/admin/logs/detectorsettings/"


@pytest.fixture
def admin() -> Client:
    return staff_client("security_admin")


def set_detector(admin: Client, name: str, enabled: bool = True, **thresholds: int | str) -> Any:
    """Save the form of a detector as a browser does."""
    admin.get(LIST)
    row = DetectorSettings.objects.get(detector=name)
    return admin.post(f"{LIST}{row.pk}/change/", {**({"enabled": "on"} if enabled else {}), **thresholds})


def found() -> set[str]:
    return {check_id.removeprefix("logs.") for check_id in Finding.objects.values_list("check_id", flat=True)}


class TestTheAdmin:
    def test_lists_every_detector_with_what_it_reports(self, admin: Client) -> None:
        page = admin.get(LIST).content.decode()
        for name in DETECTORS:
            assert name in page
        assert "Reports a source with at least threshold failed attempts within window." in page

    @pytest.mark.parametrize("name", DETECTORS)
    def test_offers_each_threshold_with_its_default(self, admin: Client, name: str) -> None:
        admin.get(LIST)
        row = DetectorSettings.objects.get(detector=name)
        page = admin.get(f"{LIST}{row.pk}/change/").content.decode()
        for threshold in thresholds_of(name):
            assert f'name="{threshold.name}"' in page
            assert f'placeholder="{threshold.default}"' in page

    @pytest.mark.parametrize("value", ["0", "-3", "99999999", "many", "1.5"])
    def test_refuses_what_makes_no_sense(self, admin: Client, value: str) -> None:
        assert set_detector(admin, "brute_force", threshold=value).status_code == 200
        assert DetectorSettings.objects.get(detector="brute_force").thresholds == {}

    def test_is_for_those_who_may(self) -> None:
        analyst = staff_client("soc_analyst")
        assert analyst.get(LIST).status_code == 200
        assert set_detector(analyst, "brute_force", threshold=3).status_code == 403
        assert staff_client("platform_owner").get(f"{LIST}add/").status_code == 403


class TestTheNextAnalysisObeys:
    def test_a_lower_threshold_and_a_higher_one(self, admin: Client) -> None:
        given_lines(*attack(attempts=4))
        analysed()
        assert not found()
        assert set_detector(admin, "brute_force", threshold=4).status_code == 302
        analysed()
        assert found() == {"brute_force"}
        Finding.objects.all().delete()
        set_detector(admin, "brute_force", threshold=5)
        analysed()
        assert not found()
        set_detector(admin, "brute_force", threshold="")
        assert DetectorSettings.objects.get(detector="brute_force").thresholds == {}

    def test_the_window(self, admin: Client) -> None:
        given_lines(*(failed_login(at=NOW - timedelta(minutes=4 * number), pid=number) for number in range(5)))
        set_detector(admin, "low_and_slow", enabled=False)
        analysed()
        assert not found()
        set_detector(admin, "brute_force", window=1200)
        analysed()
        assert found() == {"brute_force"}

    def test_severe_from(self, admin: Client) -> None:
        given_lines(*attack(attempts=10))
        set_detector(admin, "brute_force", severe_from=10)
        analysed()
        assert Finding.objects.get().severity == "high"

    def test_off(self, admin: Client) -> None:
        given_lines(*attack())
        set_detector(admin, "brute_force", enabled=False)
        assert analysed().result["detections"] == 0
        set_detector(admin, "brute_force")
        assert analysed().result["detections"] == 1


class TestFindingsHaveTheirLines:
    def test_the_first_and_the_last(self) -> None:
        lines = attack(attempts=60)
        given_lines(*lines, failed_login("198.51.100.1"))
        analysed()
        shown = Finding.objects.get().evidence["lines"]
        assert len(shown) == MOST_LINES
        assert all("gate sshd: Failed password for root from 203.0.113.9" in line for line in shown)
        assert shown == sorted(shown)
        assert shown[0].startswith(f"{NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%S}")
        assert shown[-1].startswith(f"{NOW - timedelta(minutes=10) + timedelta(seconds=59):%Y-%m-%dT%H:%M:%S}")

    def test_of_a_user_who_is_attacked_from_many_sources(self) -> None:
        given_lines(*(failed_login(f"198.51.100.{number}", "carol", NOW, pid=number) for number in range(12)))
        analysed()
        finding = Finding.objects.get(check_id="logs.distributed_guessing")
        assert len(finding.evidence["lines"]) == 12
        assert all("for carol from 198.51.100." in line for line in finding.evidence["lines"])

    def test_of_a_network_of_ipv6_addresses(self) -> None:
        users = [f"user{number}" for number in range(12)]
        given_lines(*(failed_login(f"2001:db8::{user[4:]}", user, NOW, pid=7) for user in users))
        given_lines(*(failed_login("2001:db8:0:1::1", "other", NOW, pid=9) for _ in range(2)))
        analysed()
        finding = Finding.objects.get(check_id="logs.password_spray")
        assert finding.subject == "2001:db8::/64"
        assert len(finding.evidence["lines"]) == 12

    def test_of_a_program_with_errors(self) -> None:
        stamp = f"{NOW:%d/%b/%Y:%H:%M:%S} +0000"
        given_lines(*(f'192.0.2.{n} - - [{stamp}] "GET /x{n} HTTP/1.1" 500 12 "-" "agent"' for n in range(60)))
        analysed()
        finding = Finding.objects.get(check_id="logs.error_burst")
        assert len(finding.evidence["lines"]) == MOST_LINES

    def test_hostile_ones_are_shown_harmless(self, admin: Client) -> None:
        given_lines(*attack(user="<script>alert(1)</script>"))
        analysed()
        page = admin.get(f"/admin/security/finding/{Finding.objects.get().pk}/change/").content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert(1)" not in page


class TestOneAttackIsOneFindingThatGrows:
    @pytest.mark.parametrize("seed", range(3))
    def test_over_runs_that_overlap(self, seed: int) -> None:
        """An attack of 50 hours, analysed every few hours with what arrived in the last day."""
        chance = random.Random(seed)
        begin = NOW - timedelta(hours=60)
        hour_by_hour = [chance.randint(5, 30) for _ in range(50)]
        for hour, attempts in enumerate(hour_by_hour):
            at = (begin + timedelta(hours=hour)).replace(minute=0, second=0)
            given_lines(
                *(failed_login(at=at + timedelta(seconds=number), pid=number) for number in range(attempts)),
                received_at=at + timedelta(minutes=5),
            )
            if chance.random() < 0.3 or hour == 49:
                analysed(since=(at - timedelta(hours=24)).isoformat())
                counted = Finding.objects.get(check_id="logs.brute_force").evidence["count"]
                assert counted == sum(hour_by_hour[: hour + 1])
        finding = Finding.objects.get(check_id="logs.brute_force")
        assert len(finding.evidence["by_hour"]) == 50
        assert len(finding.evidence["lines"]) == MOST_LINES
        assert finding.last_seen - finding.first_seen > timedelta(hours=48)

    def test_with_what_is_older_but_arrives_later(self) -> None:
        given_lines(*attack(attempts=10, since=NOW - timedelta(hours=2)))
        analysed(since=(NOW - timedelta(days=1)).isoformat())
        late = attack(attempts=7, since=NOW - timedelta(hours=9))
        given_lines(*late, source="late")
        analysed(source="late")
        finding = Finding.objects.get(check_id="logs.brute_force")
        assert finding.evidence["count"] == 17
        assert finding.first_seen == NOW - timedelta(hours=9)
        assert finding.last_seen == NOW - timedelta(hours=2) + timedelta(seconds=9)

    def test_it_does_not_get_less_severe_while_somebody_has_to_act(self) -> None:
        given_lines(*attack(attempts=60), source="loud")
        analysed(source="loud")
        given_lines(*attack(attempts=6, since=NOW - timedelta(minutes=3)), source="quiet")
        analysed(source="quiet")
        finding = Finding.objects.get()
        assert (finding.severity, finding.evidence["count"] >= 60) == ("high", True)
        triage(finding.pk, by_id=None, state="resolved")
        given_lines(*attack(attempts=6, since=NOW + timedelta(minutes=3)), source="again")
        analysed(source="again")
        finding.refresh_from_db()
        assert finding.severity == "medium"
