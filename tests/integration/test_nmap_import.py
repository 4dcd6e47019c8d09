"""Files of nmap's imported as scans: by API, by command, beside the product's own scans."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from securenet.accounts.roles import ANALYSTS, ROLES
from securenet.network.models import Asset, ScanTarget, Service
from securenet.notifications.models import Notification
from securenet.security import import_views, imports
from securenet.security.findings import triage
from securenet.security.imports import NmapFileFromTheFuture, import_nmap
from securenet.security.models import Finding, Scan, ScanHost
from securenet.security.nmap import NotAnNmapFile
from securenet.security.scanner import PortSet
from securenet.vulnerabilities.distributions import build_of
from tests.integration.people import client_of, client_with, given_user, staff_client
from tests.integration.test_scans import SSH, scanned
from tests.unit.scanner.servers import curt, free_port, serving
from tests.unit.test_nmap import (
    LAUGHS,
    OPENSSH,
    OUTSIDE,
    START,
    document,
    extra,
    host,
    port,
    probed,
    scaninfo,
)

IMPORT = "/api/security/scans/import"
SCANS = "/api/security/scans"
ADDRESS = "192.0.2.1"
WHEN = datetime.fromtimestamp(START, UTC)
DAY = 24 * 3600


def imported(data: bytes, user: Any = None) -> Scan:
    return import_nmap(io.BytesIO(data), user).scan


def telnet(start: int = START) -> bytes:
    """A host with telnet and SSH; all else is closed."""
    found = host(ADDRESS, port(22, OPENSSH), port(23, probed("telnet")), extra("closed", 98))
    return document(found, start=start)


def without_telnet(start: int) -> bytes:
    return document(host(ADDRESS, port(22, OPENSSH), extra("closed", 99)), start=start)


def sent(data: bytes, client: Any = None, media_type: str = "application/xml", **headers: str) -> Any:
    client = client or client_of("soc_analyst")
    return client.generic("POST", IMPORT, data, content_type=media_type, headers=headers)


def states() -> dict[tuple[str, int], str]:
    return {(finding.check_id, finding.port): finding.state for finding in Finding.objects.all()}


def comparison(scan: Scan, earlier: Scan | None = None) -> dict[str, Any]:
    query = f"?with={earlier.pk}" if earlier else ""
    answer = client_of("viewer").get(f"{SCANS}/{scan.pk}/comparison{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


# --- What an import writes


def test_a_file_becomes_a_scan_with_hosts_services_and_findings():
    user = given_user("soc_analyst")
    scan = imported(telnet(), user)
    told = Scan.objects.with_state().get()
    assert (told.pk, told.state, told.job, told.started_by) == (scan.pk, "completed", None, user)
    assert (told.started_at, told.finished_at) == (WHEN, WHEN + timedelta(seconds=20))
    assert (scan.targets, scan.ports) == (["192.0.2.0/28"], "1-100")
    assert (scan.hosts_total, scan.hosts_up, scan.open_ports, scan.findings_new) == (16, 1, 2, 3)
    assert scan.imported_from == hashlib.sha256(telnet()).hexdigest()
    asset = Asset.objects.get()
    assert (asset.address, asset.first_seen, asset.last_seen) == (ADDRESS, WHEN, WHEN)
    ssh = Service.objects.get(port=22)
    assert (ssh.name, ssh.product, ssh.version, ssh.last_seen) == ("ssh", "OpenSSH", "9.2p1", WHEN)
    assert ssh.banner == "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"
    assert states() == {("open-port", 22): "open", ("open-port", 23): "open", ("cleartext-protocol", 23): "open"}
    assert set(Finding.objects.values_list("first_seen", "last_seen", "source")) == {(WHEN, WHEN, "scan")}
    assert ScanHost.objects.get().open_ports == [22, 23]


def test_ipv6_hosts_and_hosts_under_two_names_are_one_asset_each():
    names = ('<hostname name="www.example.test" type="user"/>', '<hostname name="www2.example.test" type="user"/>')
    scan = imported(
        document(
            host(ADDRESS, port(22), names=names[0]),
            host("2001:DB8:0::7", port(22)),
            host(ADDRESS, port(22), port(80), names=names[1]),
        )
    )
    assert set(Asset.objects.values_list("address", "hostname")) == {
        (ADDRESS, "www.example.test"),
        ("2001:db8::7", ""),
    }
    assert (scan.hosts_up, scan.open_ports) == (2, 3)
    assert ScanHost.objects.get(address=ADDRESS).open_ports == [22, 80]


def test_a_name_from_the_dns_names_an_asset_that_has_none():
    Asset.objects.create(address="192.0.2.2", hostname="given.example.test")
    name = '<hostname name="web-1.example.test" type="PTR"/>'
    imported(document(host(ADDRESS, port(22), names=name), host("192.0.2.2", port(22), names=name)))
    assert list(Asset.objects.order_by("address").values_list("hostname", flat=True)) == [
        "web-1.example.test",
        "given.example.test",
    ]
    assert Finding.objects.get(asset__address=ADDRESS).subject == ADDRESS


def test_the_addresses_are_the_targets_where_the_command_line_tells_none():
    hosts = [host(f"10.0.{number >> 8}.{number & 255}", port(22)) for number in range(300)]
    scan = imported(document(*hosts, arguments="nmap -iL list.txt"))
    assert (len(scan.targets), scan.targets[0]) == (256, "10.0.0.0")


def test_people_are_told_of_what_is_grave_and_answers_are_fresh():
    user, client = given_user("soc_analyst"), client_of("viewer")
    assert client.get("/api/security/findings").json()["results"] == []
    imported(telnet())
    assert Notification.objects.filter(user=user).count() == 1
    assert len(client.get("/api/security/findings").json()["results"]) == 3


def test_what_a_later_file_shows_closed_is_resolved_at_its_time():
    imported(telnet())
    scan = imported(without_telnet(START + DAY))
    assert states() == {
        ("open-port", 22): "open",
        ("open-port", 23): "resolved",
        ("cleartext-protocol", 23): "resolved",
    }
    assert scan.findings_resolved == 2
    assert Finding.objects.filter(resolved_at=WHEN + timedelta(days=1)).count() == 2
    assert Service.objects.get(port=23).state == "closed"


@pytest.mark.parametrize(
    "rest", [extra("filtered", 99), "", extra("closed", 49) + extra("filtered", 50)], ids=["filtered", "none", "mixed"]
)
def test_what_a_later_file_does_not_show_stays_open(rest: str):
    imported(telnet())
    before = states()
    imported(document(host(ADDRESS, port(22, OPENSSH), rest), start=START + DAY))
    assert states() == before
    assert Service.objects.get(port=23).state == "open"


def test_a_file_of_open_ports_alone_resolves_nothing_that_checks_found():
    """Whoever scans with -sV learns that it is telnet; without it nmap only guesses from the port."""
    imported(telnet())
    guessed = '<service name="telnet" method="table" conf="3"/>'
    imported(document(host(ADDRESS, port(22), port(23, guessed)), start=START + DAY))
    assert set(states().values()) == {"open"}
    assert Service.objects.get(port=23).name == "telnet"


# --- Once, whole, and at its own time


def everything() -> list[Any]:
    models = (Asset, Service, Finding, Scan, ScanHost, Notification)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_the_same_file_again_changes_nothing_and_gives_the_same_scan():
    given_user("soc_analyst")
    first = import_nmap(io.BytesIO(telnet()))
    triage(Finding.objects.get(check_id="cleartext-protocol").pk, by_id=None, state="resolved")
    before = everything()
    again = import_nmap(io.BytesIO(telnet()))
    assert (first.is_new, again.is_new, again.scan) == (True, False, first.scan)
    assert everything() == before


def test_of_two_imports_of_one_file_at_the_same_time_one_wins(monkeypatch: pytest.MonkeyPatch):
    """The other one's import is complete between this one's look and its first row."""
    read = imports.read_run

    def read_while_the_other_imports(stream: Any) -> Any:
        monkeypatch.setattr(imports, "read_run", read)
        imported(telnet())
        return read(stream)

    monkeypatch.setattr(imports, "read_run", read_while_the_other_imports)
    assert not import_nmap(io.BytesIO(telnet())).is_new
    assert Scan.objects.count() == 1
    assert set(Finding.objects.values_list("times_seen", flat=True)) == {1}


def test_a_file_that_breaks_off_leaves_nothing():
    with pytest.raises(NotAnNmapFile):
        imported(telnet()[:-60])
    assert everything() == [[], [], [], [], [], []]
    imported(telnet())


def test_an_import_that_is_interrupted_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    data = document(host("192.0.2.1", port(22)), host("192.0.2.2", port(22)))
    store = imports.store_results

    def store_the_first(scan: Scan, results: Any, seen_at: datetime) -> Any:
        if Asset.objects.exists():
            raise KeyboardInterrupt
        return store(scan, results, seen_at)

    monkeypatch.setattr(imports, "store_results", store_the_first)
    with pytest.raises(KeyboardInterrupt):
        imported(data)
    assert everything() == [[], [], [], [], [], []]
    monkeypatch.undo()
    assert imported(data).hosts_up == 2


def test_a_file_from_the_future_is_refused():
    tomorrow = int(timezone.now().timestamp()) + DAY
    with pytest.raises(NmapFileFromTheFuture, match="clock"):
        imported(telnet(tomorrow))
    assert everything() == [[], [], [], [], [], []]
    scan = Scan.objects.with_state().get(pk=imported(telnet(tomorrow - DAY - 5)).pk)
    assert scan.finished_at <= timezone.now()


def test_an_older_file_changes_nothing_that_is_known_since():
    imported(telnet(START - DAY))
    imported(without_telnet(START + DAY))
    before = list(Finding.objects.order_by("pk").values("state", "resolved_at", "regressions", "first_seen"))
    imported(telnet(START))
    assert list(Finding.objects.order_by("pk").values("state", "resolved_at", "regressions", "first_seen")) == before


def test_an_older_file_resolves_nothing_that_was_seen_since():
    imported(telnet(START + DAY))
    before = list(Finding.objects.order_by("pk").values())
    scan = imported(without_telnet(START))
    after = list(Finding.objects.order_by("pk").values())
    assert scan.findings_resolved == 0
    assert [{**row, "first_seen": None} for row in after] == [{**row, "first_seen": None} for row in before]


def test_what_a_person_judged_since_the_file_was_made_stays():
    imported(telnet())
    finding = Finding.objects.get(check_id="cleartext-protocol")
    triage(finding.pk, by_id=None, state="acknowledged")
    imported(without_telnet(START + DAY))
    finding.refresh_from_db()
    assert finding.state == "acknowledged"


# --- Beside the product's own scans


@pytest.fixture
def loopback() -> ScanTarget:
    ScanTarget.objects.all().delete()
    return ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


def file_of_loopback(open_ports: list[int], ports: list[int], start: datetime) -> bytes:
    text = ",".join(map(str, sorted(ports)))
    parts = [port(number, OPENSSH) for number in open_ports]
    return document(
        host("127.0.0.1", *parts, extra("closed", len(ports) - len(open_ports)), reason="localhost-response"),
        info=scaninfo(text, "connect"),
        arguments=f"nmap -sT -sV -p {text} 127.0.0.1",
        start=int(start.timestamp()),
    )


@pytest.mark.usefixtures("loopback")
def test_a_file_of_today_is_compared_with_an_own_scan_of_yesterday(monkeypatch: pytest.MonkeyPatch):
    with serving(curt(SSH)) as stays, serving(curt(SSH)) as goes:
        comes = free_port()
        ports = [stays, goes, comes]
        own = Scan.objects.get(job=scanned(",".join(map(str, ports))))
    shift_back(own, timedelta(days=1))
    scan = imported(file_of_loopback([stays, comes], ports, timezone.now() - timedelta(hours=1)))
    found = comparison(scan)
    assert found["compared_with"] == own.pk
    assert {finding["port"] for finding in found["new"]} == {comes}
    assert {finding["port"] for finding in found["gone"]} == {goes}
    assert {finding["port"] for finding in found["unchanged"]} == {stays}
    assert found["unchecked"] == []
    assert found["opened"] == [{"address": "127.0.0.1", "port": comes}]
    assert found["closed"] == [{"address": "127.0.0.1", "port": goes}]


@pytest.mark.usefixtures("loopback")
def test_an_own_scan_is_compared_with_a_file():
    with serving(curt(SSH)) as stays:
        goes = free_port()
        scan = imported(file_of_loopback([stays, goes], [stays, goes], timezone.now() - timedelta(days=1)))
        own = Scan.objects.get(job=scanned(f"{stays},{goes}"))
    found = comparison(own)
    assert found["compared_with"] == scan.pk
    assert {finding["port"] for finding in found["gone"]} == {goes}
    assert {finding["port"] for finding in found["unchanged"]} == {stays}
    assert Finding.objects.get(port=goes, check_id="open-port").state == "resolved"


def shift_back(scan: Scan, by: timedelta) -> None:
    """As if the scan, and all that is known from it, were older."""
    job = scan.job
    assert job is not None
    job.started_at, job.finished_at = job.started_at - by, job.finished_at - by
    job.save()
    for finding in Finding.objects.all():
        finding.first_seen, finding.last_seen = finding.first_seen - by, finding.last_seen - by
        finding.save()
    Service.objects.update(first_seen=F("first_seen") - by, last_seen=F("last_seen") - by)
    Asset.objects.update(first_seen=F("first_seen") - by, last_seen=F("last_seen") - by)


def test_imported_scans_are_in_the_lists_and_on_their_pages():
    first, second = imported(telnet()), imported(without_telnet(START + DAY))
    client = client_of("viewer")
    for query in ("", "?state=completed"):
        rows = client.get(SCANS + query).json()["results"]
        assert [(row["id"], row["job"], row["state"], row["progress"]) for row in rows] == [
            (second.pk, None, "completed", None),
            (first.pk, None, "completed", None),
        ]
    assert client.get(f"{SCANS}/{first.pk}").json()["started_at"] == WHEN.isoformat().replace("+00:00", "Z")
    pages = staff_client("viewer")
    assert "192.0.2.0/28" in pages.get("/admin/security/scan/").content.decode()
    html = pages.get(f"/admin/security/scan/{second.pk}/change/").content.decode()
    assert f"Scan {first.pk}" in html
    assert "0 new, 2 gone, 1 unchanged" in html


def test_scanning_an_imported_scan_again_needs_an_authorisation_as_any_scan():
    scan = imported(telnet())
    ScanTarget.objects.all().delete()
    client = staff_client("soc_analyst")
    asked = {"action": "scan_again", "_selected_action": scan.pk}
    assert "192.0.2.0/28" in client.post("/admin/security/scan/", asked, follow=True).content.decode()
    assert Scan.objects.count() == 1
    ScanTarget.objects.create(network="192.0.2.0/24")
    client.post("/admin/security/scan/", asked)
    assert Scan.objects.latest("pk").targets == ["192.0.2.0/28"]


# --- By API


@pytest.mark.parametrize("role", ROLES)
def test_who_may_scan_may_import(role: str):
    answer = sent(telnet(), client_of(role))
    assert answer.status_code == (201 if role in ANALYSTS else 403)
    assert Scan.objects.count() == (role in ANALYSTS)


def test_nobody_imports_without_signing_in():
    assert sent(telnet(), client_with("made-up")).status_code == 401
    assert not Scan.objects.exists()


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml", "text/xml; charset=utf-8"])
def test_an_import_answers_with_the_scan_and_its_address(media_type: str):
    client = client_of("soc_analyst")
    answer = sent(telnet(), client, media_type)
    assert answer.status_code == 201, answer.content
    scan = answer.json()
    assert answer["Location"] == f"{SCANS}/{scan['id']}"
    assert client.get(answer["Location"]).json() == scan
    assert (scan["state"], scan["job"], scan["hosts_up"], scan["findings_new"]) == ("completed", None, 1, 3)
    assert scan["started_by"].startswith("user")


def test_the_same_body_again_answers_200_with_the_same_scan():
    client = client_of("soc_analyst")
    first, again = sent(telnet(), client), sent(gzip.compress(telnet()), client, Content_Encoding="gzip")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]


def test_a_body_may_be_packed_with_gzip():
    assert sent(gzip.compress(telnet()), Content_Encoding="gzip").status_code == 201


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "no XML"),
        (b"{}", 400, "no XML"),
        (telnet()[:-60], 400, "cut off"),
        (document(host(ADDRESS, port(22)), doctype=LAUGHS), 400, "document type"),
        (document(host(ADDRESS, port(22)), doctype=OUTSIDE), 400, "document type"),
        (telnet(2_000_000_000), 400, "clock"),
    ],
    ids=["empty", "json", "truncated", "laughs", "outside", "future"],
)
def test_what_is_no_file_of_nmaps_is_a_problem_with_the_reason(data: bytes, status: int, words: str):
    answer = sent(data)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    assert not Scan.objects.exists()


def test_other_media_types_and_codings_are_415_and_broken_gzip_is_400():
    assert sent(telnet(), media_type="application/json").status_code == 415
    assert sent(telnet(), Content_Encoding="br").status_code == 415
    assert sent(gzip.compress(telnet())[:-9], Content_Encoding="gzip").status_code == 400
    assert sent(telnet(), Content_Encoding="gzip").status_code == 400


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_that_is_too_large_is_413(is_packed: bool):
    fits = telnet() + b" " * (import_views.MAX_IMPORT_BYTES - len(telnet()))
    headers = {"Content_Encoding": "gzip"} if is_packed else {}
    for data, status in ((fits + b" ", 413), (fits, 201)):
        answer = sent(gzip.compress(data, 1) if is_packed else data, **headers)
        assert answer.status_code == status, answer.content
    assert Scan.objects.count() == 1


def test_more_hosts_and_ports_than_somebody_waits_for_are_413(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(import_views, "MAX_ROWS", 2)
    answer = sent(telnet())
    assert answer.status_code == 413
    assert "import_nmap" in answer.json()["detail"]
    monkeypatch.setattr(import_views, "MAX_ROWS", 3)
    assert sent(telnet()).status_code == 201


# --- By command


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


def test_the_command_imports_files_plain_and_packed_and_tells_what_came_of_them(tmp_path: Path, said: io.StringIO):
    user = given_user("soc_analyst")
    (tmp_path / "a.xml").write_bytes(telnet())
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(without_telnet(START + DAY)))
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    call_command("import_nmap", *files, "--user", user.username, stdout=said)
    assert "1 of 16 hosts up, 2 open ports, 3 new findings, 0 resolved" in said.getvalue()
    assert "2 resolved" in said.getvalue()
    assert set(Scan.objects.values_list("started_by", flat=True)) == {user.pk}
    call_command("import_nmap", *files, stdout=said)
    assert said.getvalue().count("was imported before") == 2
    assert Scan.objects.count() == 2


def test_the_command_tells_what_it_could_not_take_in_and_takes_in_the_rest(tmp_path: Path, said: io.StringIO):
    (tmp_path / "a.xml").write_bytes(b"no XML")
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(telnet())[:-9])
    (tmp_path / "c.xml").write_bytes(telnet())
    files = [str(tmp_path / name) for name in ("a.xml", "b.xml.gz", "c.xml", "d.xml")]
    with pytest.raises(CommandError) as error:
        call_command("import_nmap", *files, stdout=said)
    for name in ("a.xml", "b.xml.gz", "d.xml"):
        assert name in str(error.value)
    assert "c.xml" not in str(error.value)
    assert Scan.objects.count() == 1
    with pytest.raises(CommandError, match="nobody"):
        call_command("import_nmap", files[2], "--user", "nobody")


# --- With nmap itself


@pytest.mark.usefixtures("loopback")
@pytest.mark.skipif(shutil.which("nmap") is None, reason="nmap is not installed")
def test_what_nmap_writes_here_is_imported():
    debian = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
    with serving(curt(debian)) as stays:
        with serving(curt(SSH)) as goes:
            own = Scan.objects.get(job=scanned(f"{stays},{goes}"))
        shift_back(own, timedelta(days=1))
        # More than 25 closed ports, which nmap sums up.
        ports = str(PortSet.of(stays, goes, *range(2, 42)))
        command = ["nmap", "-sT", "-sV", "-n", "-oX", "-", "-p", ports, "127.0.0.1"]
        written = subprocess.run(command, capture_output=True, check=True, timeout=300).stdout
    scan = imported(written)
    assert (scan.targets, PortSet.parse(scan.ports)) == (["127.0.0.1"], PortSet.parse(ports))
    assert (scan.hosts_total, scan.hosts_up, scan.open_ports) == (1, 1, 1)
    ssh = Service.objects.get(port=stays)
    assert (ssh.name, ssh.product, ssh.version) == ("ssh", "OpenSSH", "9.2p1")
    assert build_of(ssh.banner) == build_of(debian.decode())
    found = comparison(scan)
    assert found["compared_with"] == own.pk
    assert {finding["port"] for finding in found["gone"]} == {goes}
    assert {finding["port"] for finding in found["unchanged"]} == {stays}
    assert Service.objects.get(port=goes).state == "closed"


def test_an_older_file_leaves_services_as_they_are_known_since():
    imported(telnet(START - DAY))
    imported(without_telnet(START + DAY))
    before = list(Service.objects.order_by("port").values())
    imported(document(host(ADDRESS, port(22, probed("ssh", "dropbear", "1")), port(23, probed("ftp"))), start=START))
    assert list(Service.objects.order_by("port").values()) == before


def test_an_older_file_closes_no_service_that_was_seen_since():
    imported(telnet(START + DAY))
    imported(without_telnet(START))
    assert Service.objects.get(port=23).state == "open"


def test_scans_are_compared_in_the_order_of_their_times_not_of_their_imports():
    newer = imported(without_telnet(START + DAY))
    older = imported(telnet(START))
    assert comparison(older)["compared_with"] is None
    assert comparison(newer)["compared_with"] == older.pk
