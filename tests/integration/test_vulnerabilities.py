"""Vulnerability data from the imported file to the finding, with their age wherever they are used."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from perf.jobs.run import run_job
from perf.models import Job
from securenet.network.models import ScanTarget
from securenet.notifications.models import Notification
from securenet.security.models import Finding, Scan
from securenet.vulnerabilities.feeds import NotAFeed
from securenet.vulnerabilities.importing import import_feed
from securenet.vulnerabilities.knowledge import load_catalogue
from securenet.vulnerabilities.models import AffectedRange, ExploitedVulnerability, Feed, Vulnerability
from tests.integration.helpers import redis_commands
from tests.integration.people import client_of, staff_client
from tests.unit.scanner.servers import curt, serving
from tests.unit.vulnerabilities.feed_files import CRITICAL, affected, kev, nvd, nvd_cve, osv, written

CVE = "CVE-2026-1001"
OLD, NEW = "SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.9p1\r\n"


def openssh(number: str = CVE, end: str = "9.8", **more: Any) -> dict[str, Any]:
    return nvd_cve(number, affected(versionEndExcluding=end), **{"score": 9.8, "vector": CRITICAL, **more})


def days_ago(days: float) -> str:
    return (timezone.now() - timedelta(days=days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000")


@pytest.fixture
def loopback() -> None:
    ScanTarget.objects.all().delete()
    ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


def scanned(port: int) -> Scan:
    answer = client_of("soc_analyst").post("/api/security/scans", {"targets": ["127.0.0.1"], "ports": str(port)})
    assert answer.status_code == 202, answer.content
    job = Job.objects.latest("submitted_at")
    run_job(str(job.pk))
    job.refresh_from_db()
    assert job.status == Job.Status.COMPLETED, job.error
    return Scan.objects.get(job=job)


@pytest.mark.usefixtures("loopback")
class TestAScan:
    def test_finds_a_program_with_a_known_vulnerability_and_tells_how_old_the_data_are(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, nvd(openssh(lastModified=days_ago(40)), timestamp=days_ago(40)), "nvd.json.gz"))
        import_feed(written(tmp_path, kev(CVE, released=days_ago(20)), "kev.json"))
        with serving(curt(OLD.encode())) as port:
            scan = scanned(port)
        finding = Finding.objects.get(check_id="known-vulnerability")
        assert finding.title == f"OpenSSH 9.2p1 has {CVE} (exploited)"
        assert (finding.severity, finding.confidence, finding.port) == ("critical", 60, port)
        assert (finding.cvss_vector, finding.cvss_score) == (CRITICAL, 9.8)
        assert [data["age_days"] for data in finding.evidence["data"]] == [40, 20]
        assert Notification.objects.filter(title__contains=CVE).exists()

        client = client_of("soc_analyst")
        told = client.get(f"/api/security/findings/{finding.pk}").json()
        assert "40 days old" in told["description"]
        assert told["cvss_score"] == 9.8
        used = [scan.job.result["vulnerability_data"]]
        used.append(client.get("/api/security/summary").json()["vulnerability_data"])
        used.append(client.get("/api/dashboard").json()["vulnerability_data"])
        for feeds in used:
            assert [(feed["feed"], feed["age_days"]) for feed in feeds] == [("nvd", 40), ("kev", 20)]
        sarif = json.loads(client.get("/api/security/findings?format=sarif").getvalue())
        (result,) = [each for each in sarif["runs"][0]["results"] if each["ruleId"] == "known-vulnerability"]
        assert result["properties"]["security-severity"] == "9.8"
        assert "40 days old" in result["message"]["text"]
        assert "9.8" in client.get("/api/security/findings?format=csv").getvalue().decode()

    def test_finds_none_in_the_version_that_mends_it_and_resolves_what_was_mended(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, nvd(openssh())))
        with serving(curt(OLD.encode())) as port:
            scanned(port)
        assert Finding.objects.get(check_id="known-vulnerability").state == "open"
        with serving(curt(NEW.encode()), port=port):
            scanned(port)
        assert Finding.objects.get(check_id="known-vulnerability").state == "resolved"

    def test_without_data_resolves_nothing(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, nvd(openssh())))
        with serving(curt(OLD.encode())) as port:
            scanned(port)
            Feed.objects.all().delete()
            scanned(port)
        assert Finding.objects.get(check_id="known-vulnerability").state == "open"

    def test_takes_a_distributions_word_for_its_package(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, nvd(openssh())))
        import_feed(written(tmp_path, [osv(CVE, "openssh", "Debian:12", {"fixed": "1:9.2p1-2+deb12u3"})], "debian.zip"))
        with serving(curt(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")) as port:
            scanned(port)
        assert not Finding.objects.filter(check_id="known-vulnerability").exists()
        with serving(curt(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")) as port:
            scanned(port)
        finding = Finding.objects.get(check_id="known-vulnerability")
        assert (finding.severity, finding.confidence) == ("critical", 95)
        assert finding.evidence["built_by"] == "Debian 12 2+deb12u2"
        assert finding.evidence["fixed_in"] == "1:9.2p1-2+deb12u3"


class TestImport:
    def test_twice_is_as_good_as_once(self, tmp_path: Path) -> None:
        path = written(tmp_path, nvd(openssh(), openssh("CVE-2026-1002")))
        assert import_feed(path).kept == 2
        before = load_catalogue()
        assert import_feed(path).kept == 2
        assert load_catalogue() == before
        assert (Feed.objects.count(), Vulnerability.objects.count(), AffectedRange.objects.count()) == (1, 2, 2)

    def test_a_newer_file_replaces_what_an_older_one_said(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, nvd(openssh(end="9.8"), openssh("CVE-2026-1002")), "year.json"))
        corrected = nvd(
            openssh(end="9.3", lastModified="2026-10-20T00:00:00"),
            openssh("CVE-2026-1002", vulnStatus="Rejected"),
            timestamp="2026-10-20T00:00:00",
        )
        import_feed(written(tmp_path, corrected, "modified.json"))
        assert list(AffectedRange.objects.values_list("vulnerability__identifier", "end")) == [(CVE, "9.3")]

    def test_an_older_file_replaces_nothing(self, tmp_path: Path) -> None:
        newer = nvd(openssh(end="9.3", lastModified="2026-10-20T00:00:00"), timestamp="2026-10-20T00:00:00")
        import_feed(written(tmp_path, newer, "modified.json"))
        imported = import_feed(written(tmp_path, nvd(openssh(end="9.8"), openssh("CVE-2026-1002")), "year.json"))
        assert (imported.kept, imported.older) == (1, 1)
        assert AffectedRange.objects.get(vulnerability__identifier=CVE).end == "9.3"
        with pytest.raises(NotAFeed, match=r"delete that feed first"):
            import_feed(written(tmp_path, nvd(openssh(end="9.8")), "modified.json"))

    def test_what_left_the_list_of_exploited_ones_is_not_exploited_any_more(self, tmp_path: Path) -> None:
        import_feed(written(tmp_path, kev(CVE, "CVE-2026-1002"), "kev.json"))
        import_feed(written(tmp_path, kev("CVE-2026-1002", released="2026-10-12T00:00:00Z"), "kev.json"))
        assert list(ExploitedVulnerability.objects.values_list("cve", flat=True)) == ["CVE-2026-1002"]

    def test_a_file_of_the_future_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(NotAFeed, match="check this clock"):
            import_feed(written(tmp_path, nvd(openssh(), timestamp=days_ago(-2))))
        assert not Feed.objects.exists()

    def test_a_file_that_breaks_off_changes_nothing(self, tmp_path: Path) -> None:
        path = written(tmp_path, nvd(*(openssh(f"CVE-2026-{number}") for number in range(1000, 1100))))
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(NotAFeed):
            import_feed(path)
        assert not Vulnerability.objects.exists()

    def test_the_summary_tells_of_an_import_at_once(self, tmp_path: Path) -> None:
        client = client_of("viewer")
        assert client.get("/api/security/summary").json()["vulnerability_data"] == []
        import_feed(written(tmp_path, nvd(openssh())))
        assert len(client.get("/api/security/summary").json()["vulnerability_data"]) == 1
        with redis_commands() as commands:
            client.get("/api/security/summary")
        assert commands["evalsha"], "it is cached all the same"

    def test_many_records_of_other_products_take_no_memory(self, tmp_path: Path) -> None:
        """100,000 records, 60 MB of JSON: the process grows by some megabytes."""
        import resource

        stranger = json.dumps(nvd_cve("CVE-2026-1002", affected("cpe:2.3:a:nobody:knows:1:*:*:*:*:*:*:*")))
        head, tail = json.dumps(nvd(openssh())).rsplit("]", 1)
        path = tmp_path / "big.json"
        with path.open("w") as file:
            file.write(head)
            for _ in range(100_000):
                file.write(f",{stranger}")
            file.write(f"]{tail}")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        imported = import_feed(path)
        assert (imported.read, imported.kept) == (100_001, 1)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB


class TestTheCommand:
    def test_tells_what_it_took_in(self, tmp_path: Path) -> None:
        out = io.StringIO()
        paths = [written(tmp_path, nvd(openssh()), "nvd.json"), written(tmp_path, kev(CVE), "kev.json.gz")]
        call_command("import_vulnerabilities", *map(str, paths), stdout=out)
        assert "NVD of 2026-10-01" in out.getvalue()
        assert "1 records read, 1 kept." in out.getvalue()
        assert set(Feed.objects.values_list("kind", flat=True)) == {"nvd", "kev"}

    def test_takes_in_the_good_files_beside_a_bad_one(self, tmp_path: Path) -> None:
        good, bad = written(tmp_path, kev(CVE), "kev.json"), tmp_path / "missing.json"
        with pytest.raises(CommandError, match=r"missing\.json cannot be read"):
            call_command("import_vulnerabilities", str(bad), str(good), stdout=io.StringIO())
        assert Feed.objects.get().name == "kev.json"


class TestTheAdmin:
    def test_shows_the_age_of_each_feed_and_deletes_one_with_all_it_said(self, tmp_path: Path) -> None:
        published = datetime.now(UTC) - timedelta(days=43, hours=1)
        import_feed(written(tmp_path, nvd(openssh(lastModified=days_ago(50)), timestamp=published.isoformat())))
        client = staff_client("platform_owner")
        page = client.get("/admin/vulnerabilities/feed/").content.decode()
        assert '<td class="field-age">43</td>' in page
        feed = Feed.objects.get()
        vulnerability = Vulnerability.objects.get()
        assert client.get(f"/admin/vulnerabilities/vulnerability/{vulnerability.pk}/change/").status_code == 200
        assert client.post(f"/admin/vulnerabilities/feed/{feed.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not Vulnerability.objects.exists()
