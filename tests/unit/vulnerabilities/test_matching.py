"""Which vulnerabilities a greeting stands for, and how sure that is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from securenet.security.scanner.checks import assess
from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import Observation
from securenet.security.scanner.services.base import recognise
from securenet.vulnerabilities.check import KnownVulnerabilities
from securenet.vulnerabilities.distributions import Build, build_of
from securenet.vulnerabilities.matching import Catalogue, Exploitation, KnownRange, Source

NVD = Source("NVD (2026.json)", datetime(2026, 10, 1, tzinfo=UTC))
OSV = Source("OSV (Debian.zip)", datetime(2026, 10, 21, tzinfo=UTC))
KEV = Source("CISA KEV (kev.json)", datetime(2026, 10, 30, tzinfo=UTC))
NOW = datetime(2026, 10, 31, 12, tzinfo=UTC)
REGRESSHION = "CVE-2024-6387"


def known(cve: str = REGRESSHION, start: str = "", end: str = "", source: Source = NVD, **more: Any) -> KnownRange:
    given = {"start_included": True, "end_included": False, "cvss_vector": "", "cvss_score": 8.1, **more}
    return KnownRange(cve, start, summary="A race in the signal handler.", end=end, source=source, **given)


def debian(cve: str, fixed: str, **more: Any) -> KnownRange:
    return known(cve, end=fixed, source=OSV, cvss_score=None, **more)


SSH = "cpe:openbsd:openssh"
NVD_ALONE = Catalogue({SSH: (known(start="8.5p1", end="9.8p1"),)})
WITH_DEBIAN = Catalogue(
    {
        SSH: (known(start="8.5p1", end="9.8p1"),),
        "Debian:12/openssh": (debian(REGRESSHION, "1:9.2p1-2+deb12u3"),),
        "Debian:11/openssh": (debian(REGRESSHION, "1:8.4p1-5+deb11u4"),),
        "Ubuntu:22.04/openssh": (debian(REGRESSHION, "1:8.9p1-3ubuntu0.10"),),
    }
)


def issues(greeting: str, catalogue: Catalogue = WITH_DEBIAN) -> tuple[Issue, ...] | None:
    """What is found at a server that greets so; None if that cannot be judged."""
    identity = recognise(greeting.encode())
    assert identity is not None
    observation = Observation(
        ip_address("192.0.2.1"), 22, NOW, None, identity.service, identity.product, identity.version, identity.banner
    )
    assessment = assess(observation, [KnownVulnerabilities(catalogue)])
    return assessment.issues if assessment.assessed else None


def http(server: str) -> str:
    return f"HTTP/1.1 200 OK\r\nServer: {server}\r\n\r\n"


class TestAProgramThatItsMakersBuilt:
    @pytest.mark.parametrize("version", ["8.5p1", "8.9p1", "9.2p1", "9.7p1"])
    def test_within_the_range_has_it(self, version: str) -> None:
        (issue,) = issues(f"SSH-2.0-OpenSSH_{version}\r\n", NVD_ALONE) or ()
        assert (issue.cve, issue.severity, issue.confidence) == (REGRESSHION, Severity.HIGH, 60)
        assert issue.advice == "Update OpenSSH to 9.8p1 or later."

    @pytest.mark.parametrize("version", ["8.4p1", "7.9p1", "9.8p1", "9.9p2", "10.0p1"])
    def test_outside_of_it_has_not(self, version: str) -> None:
        assert issues(f"SSH-2.0-OpenSSH_{version}\r\n", NVD_ALONE) == ()

    @pytest.mark.parametrize("says", ["OpenSSH", "Unheard_1.0"])
    def test_that_does_not_tell_its_version_or_that_nobody_knows_is_not_judged(self, says: str) -> None:
        assert issues(f"SSH-2.0-{says}\r\n", NVD_ALONE) is None

    def test_nothing_imported_settles_nothing(self) -> None:
        assert issues("SSH-2.0-OpenSSH_9.2p1\r\n", Catalogue()) is None


class TestAProgramThatADistributionBuilt:
    @pytest.mark.parametrize(
        ("revision", "has_it"),
        [("2", True), ("2+deb12u1", True), ("2+deb12u2", True), ("2+deb12u3", False), ("2+deb12u10", False)],
    )
    def test_is_judged_by_what_the_distribution_says(self, revision: str, has_it: bool) -> None:
        found = issues(f"SSH-2.0-OpenSSH_9.2p1 Debian-{revision}\r\n")
        assert found is not None
        assert [(issue.confidence, issue.severity) for issue in found] == ([(95, Severity.HIGH)] if has_it else [])
        for issue in found:
            assert issue.advice == "Update OpenSSH to 1:9.2p1-2+deb12u3 or later."

    def test_each_release_by_its_own(self) -> None:
        assert issues("SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u3\r\n")
        assert issues("SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u4\r\n") == ()

    def test_a_release_that_the_greeting_does_not_name_is_told_by_its_upstream_number(self) -> None:
        assert issues("SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10\r\n") == ()
        (issue,) = issues("SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.9\r\n") or ()
        assert issue.confidence == 95

    @pytest.mark.parametrize(
        "greeting",
        [
            "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5\r\n",  # nothing imported about that release
            "SSH-2.0-OpenSSH_9.2p1 Raspbian-2+deb12u3\r\n",
            "SSH-2.0-OpenSSH_9.7 FreeBSD-20240701\r\n",
        ],
    )
    def test_where_it_says_nothing_a_match_is_only_worth_knowing(self, greeting: str) -> None:
        (issue,) = issues(greeting) or ()
        assert (issue.severity, issue.confidence) == (Severity.INFO, 20)
        assert "may have" in issue.title

    def test_without_its_advisories_no_patched_greeting_is_more_than_worth_knowing(self) -> None:
        patched = [
            "OpenSSH_9.2p1 Debian-2+deb12u3", "OpenSSH_9.2p1 Debian-2+deb12u7", "OpenSSH_8.9p1 Ubuntu-3ubuntu0.10",
            "OpenSSH_9.6p1 Ubuntu-3ubuntu13.14", "OpenSSH_9.3p1 Ubuntu-1ubuntu3.6", "OpenSSH_9.2p1 Raspbian-2+deb12u3",
            "OpenSSH_9.0p1 Ubuntu-1ubuntu8.7", "OpenSSH_9.7 FreeBSD-20240701", "OpenSSH_9.6 FreeBSD-20240701",
            "OpenSSH_9.3 FreeBSD-20240701", "OpenSSH_9.6p1 Debian-3", "OpenSSH_9.7p1 Debian-7",
        ]  # fmt: skip
        for greeting in patched:
            found = issues(f"SSH-2.0-{greeting}\r\n", NVD_ALONE)
            assert found is not None
            assert {issue.severity for issue in found} == {Severity.INFO}, greeting

    def test_a_name_without_a_revision_is_only_a_hint_too(self) -> None:
        catalogue = Catalogue(
            {
                "cpe:apache:http_server": (known("CVE-2026-2", "2.4.0", "2.4.58"),),
                "Debian:12/apache2": (debian("CVE-2026-2", "2.4.57-2"),),
            }
        )
        (issue,) = issues(http("Apache/2.4.57 (Debian)"), catalogue) or ()
        assert (issue.severity, issue.confidence) == (Severity.INFO, 20)
        (issue,) = issues(http("Apache/2.4.57 (Unix)"), catalogue) or ()
        assert (issue.severity, issue.confidence) == (Severity.HIGH, 60)

    def test_advisories_alone_are_enough(self) -> None:
        catalogue = Catalogue({"Debian:12/openssh": (debian(REGRESSHION, "1:9.2p1-2+deb12u3"),)})
        (issue,) = issues("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n", catalogue) or ()
        assert (issue.severity, issue.cve) == (Severity.MEDIUM, REGRESSHION), "nobody has scored it"
        assert issues("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", catalogue) == ()

    def test_what_is_not_mended_yet_is_there_in_every_revision(self) -> None:
        catalogue = Catalogue({"Debian:12/openssh": (debian(REGRESSHION, ""),)})
        (issue,) = issues("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u99\r\n", catalogue) or ()
        assert "name no version that mends it" in issue.advice


class TestWhatIsKnownOfAttackers:
    catalogue = Catalogue(
        {SSH: (known(start="8.5p1", end="9.8p1", cvss_score=5.3),)},
        {REGRESSHION: Exploitation(date(2026, 7, 9), None, True, KEV)},
    )

    def test_raises_the_severity(self) -> None:
        (issue,) = issues("SSH-2.0-OpenSSH_9.2p1\r\n", self.catalogue) or ()
        assert issue.severity is Severity.HIGH
        assert issue.title == "OpenSSH 9.2p1 has CVE-2024-6387 (exploited)"
        assert "known since 2026-07-09, by ransomware among others" in issue.description

    def test_but_not_that_of_a_mere_hint(self) -> None:
        (issue,) = issues("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", self.catalogue) or ()
        assert issue.severity is Severity.INFO


def test_the_age_of_all_data_that_were_used_is_told() -> None:
    (issue,) = issues("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u1\r\n") or ()
    assert "NVD (2026.json) of 2026-10-01, 30 days old" in issue.description
    assert "OSV (Debian.zip) of 2026-10-21, 10 days old" in issue.description
    assert issue.evidence["data"] == [
        {"feed": "OSV (Debian.zip)", "published_at": "2026-10-21T00:00:00+00:00", "age_days": 10},
        {"feed": "NVD (2026.json)", "published_at": "2026-10-01T00:00:00+00:00", "age_days": 30},
    ]


def test_the_gravest_come_first_and_each_is_a_finding_of_its_own() -> None:
    ranges = tuple(known(f"CVE-2026-{number}", end="10", cvss_score=float(number)) for number in (3, 9, 5))
    found = issues("SSH-2.0-OpenSSH_9.2p1\r\n", Catalogue({SSH: ranges})) or ()
    assert [issue.cve for issue in found] == ["CVE-2026-9", "CVE-2026-5", "CVE-2026-3"]
    assert [issue.severity for issue in found] == [Severity.CRITICAL, Severity.MEDIUM, Severity.LOW]
    assert len({issue.fingerprint("192.0.2.1") for issue in found}) == 3


@pytest.mark.parametrize(
    ("banner", "version", "build"),
    [
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "9.2p1", Build("Debian", "12", "2+deb12u3")),
        ("SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10", "8.9p1", Build("Ubuntu", "", "3ubuntu0.10")),
        ("8.0.36-0ubuntu0.22.04.1", "8.0.36-0ubuntu0.22.04.1", Build("Ubuntu", "22.04", "0ubuntu0.22.04.1")),
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", "10.11.6", Build("Debian", "12", "0+deb12u1")),
        ("Apache/2.4.57 (Debian)", "2.4.57", Build("Debian")),
        ("nginx/1.18.0 (Ubuntu)", "1.18.0", Build("Ubuntu")),
        ("SSH-2.0-OpenSSH_9.2p1 Raspbian-10+deb10u2", "9.2p1", Build("Raspbian", "10", "10+deb10u2")),
        ("SSH-2.0-OpenSSH_9.7 FreeBSD-20240701", "9.7", Build("FreeBSD")),
        ("Apache/2.4.37 (Red Hat Enterprise Linux)", "2.4.37", Build("Red Hat")),
        ("SSH-2.0-OpenSSH_9.2p1", "9.2p1", None),
        ("Apache/2.4.57 (Unix)", "2.4.57", None),
    ],
)
def test_who_built_a_program(banner: str, version: str, build: Build | None) -> None:
    assert build_of(banner, version) == build


@pytest.mark.parametrize(
    "tail", ["Debian-" + "1" * 500, "-0" * 300 + "ubuntu", "Ubuntu-~~~~", "Debian-1:2:3-~+deb12u", "debu" * 400]
)
def test_a_hostile_greeting_harms_nobody(tail: str) -> None:
    assert issues(f"SSH-2.0-OpenSSH_9.2p1 {tail}\r\n") is not None
