"""The inventory and the scan targets: by API, by admin, and as scans write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from securenet.accounts.roles import ROLES
from securenet.network.inventory import OpenPort, record_host
from securenet.network.models import Asset, ScanTarget, Service
from securenet.network.serializers import AssetSerializer
from tests.integration.people import client_of, fields_of, staff_client

ASSETS = "/api/network/assets"
TARGETS = "/api/network/targets"


def given_asset(address: str = "10.0.0.5", **fields: object) -> Asset:
    return Asset.objects.create(address=address, **fields)


def addresses(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [asset["address"] for asset in response.json()["results"]]


# --- Who may do what


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_assets(role: str):
    asset, client = given_asset(), client_of(role)
    assert addresses(client.get(ASSETS)) == ["10.0.0.5"]
    assert client.get(f"{ASSETS}/{asset.pk}").json()["address"] == "10.0.0.5"


@pytest.mark.parametrize(
    ("role", "status"), [("platform_owner", 201), ("security_admin", 201), ("soc_analyst", 201), ("viewer", 403)]
)
def test_assets_are_written_by_all_roles_but_viewers(role: str, status: int):
    assert client_of(role).post(ASSETS, {"address": "10.0.0.9"}).status_code == status


@pytest.mark.parametrize(
    ("role", "status"), [("platform_owner", 200), ("security_admin", 200), ("soc_analyst", 403), ("viewer", 403)]
)
def test_scan_targets_are_for_admins_only(role: str, status: int):
    client = client_of(role)
    assert client.get(TARGETS).status_code == status
    answer = client.post(TARGETS, {"network": "10.0.0.0/24"})
    assert answer.status_code == (201 if status == 200 else 403)


def test_a_user_without_a_role_reads_and_writes_nothing_more_than_assets():
    client = client_of()
    assert client.get(ASSETS).status_code == 200
    assert client.post(ASSETS, {"address": "10.0.0.9"}).status_code == 403


def test_strangers_are_asked_to_sign_in(client):
    answer = client.get(ASSETS)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


# --- Assets by API


def test_an_asset_is_created_changed_and_deleted():
    client = client_of("soc_analyst")
    made = client.post(ASSETS, {"address": "10.0.0.5", "name": "web", "kind": "server", "tags": ["paris", "paris"]})
    assert made.status_code == 201
    body = made.json()
    assert (body["source"], body["tags"], body["last_seen"]) == ("manual", ["paris"], None)
    address = f"{ASSETS}/{body['id']}"
    changed = client.patch(address, {"criticality": "critical"})
    assert (changed.status_code, changed.json()["criticality"]) == (200, "critical")
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_what_was_read_can_be_sent_back_whole():
    client, asset = client_of("soc_analyst"), given_asset(name="old")
    address = f"{ASSETS}/{asset.pk}"
    answer = client.put(address, {**client.get(address).json(), "name": "new"})
    assert (answer.status_code, answer.json()["name"]) == (200, "new")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"adress": "10.0.0.9"}, "adress"),
        ({"address": "10.0.0.999"}, "address"),
        ({"address": "10.0.0.9", "kind": "toaster"}, "kind"),
        ({"address": "10.0.0.9", "last_seen": "2026-01-01T00:00:00Z"}, "last_seen"),
        ({"address": "10.0.0.9", "tags": "web"}, "tags"),
        ({"address": "2002:a00:1::1"}, "address"),
        ({}, "address"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(body: dict, field: str):
    answer = client_of("soc_analyst").post(ASSETS, body)
    assert answer.status_code == 400
    assert fields_of(answer) == {field}


@pytest.mark.parametrize("spelling", ["10.0.0.5", "::ffff:10.0.0.5", "64:ff9b::a00:5", " 10.0.0.5 "])
def test_an_address_has_one_spelling_and_one_asset(spelling: str):
    given_asset("10.0.0.5")
    answer = client_of("soc_analyst").post(ASSETS, {"address": spelling})
    assert answer.status_code == 400
    assert fields_of(answer) == {"address"}


def test_ipv6_addresses_are_stored_in_their_short_form():
    answer = client_of("soc_analyst").post(ASSETS, {"address": "2001:DB8:0:0::7"})
    assert answer.json()["address"] == "2001:db8::7"


def test_a_change_by_a_person_is_in_the_next_answer_of_every_cached_list():
    asset, reader, writer = given_asset(), client_of("viewer"), client_of("soc_analyst")
    assert addresses(reader.get(ASSETS)) == ["10.0.0.5"]
    assert "hit" in reader.get(ASSETS)["Cache-Status"]
    writer.patch(f"{ASSETS}/{asset.pk}", {"address": "10.0.0.6"})
    assert addresses(reader.get(ASSETS)) == ["10.0.0.6"]
    Asset.objects.all().delete()
    assert addresses(reader.get(ASSETS)) == []


def test_a_list_costs_the_same_queries_for_one_asset_as_for_many(django_assert_num_queries):
    client = client_of("viewer")
    now = timezone.now()
    for number in range(1, 20):
        record_host(f"10.0.0.{number}", seen_at=now, open_ports=[OpenPort(22), OpenPort(80)])
    assert addresses(client.get(f"{ASSETS}?kind=iot")) == []  # from here on the policies are known
    with django_assert_num_queries(2):
        answer = client.get(ASSETS)
    assert [len(asset["services"]) for asset in answer.json()["results"]] == [2] * 19


def test_lists_come_in_pages():
    for number in range(1, 6):
        given_asset(f"10.0.0.{number}")
    client = client_of("viewer")
    first = client.get(f"{ASSETS}?page_size=3").json()
    second = client.get(first["next"]).json()
    found = [asset["address"] for asset in first["results"] + second["results"]]
    assert found == [f"10.0.0.{number}" for number in (5, 4, 3, 2, 1)]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=server&kind=printer", ["10.0.0.2", "10.0.0.1"]),
        ("kind=server&criticality=high", ["10.0.0.1"]),
        ("search=paris", ["10.0.0.2"]),
        ("search=0.0.1", ["10.0.0.1"]),
        ("address=::ffff:10.0.0.1", ["10.0.0.1"]),
        ("open_port=22", ["10.0.0.1"]),
        ("open_port=23", []),
        ("owner=OPS", ["10.0.0.1"]),
        ("seen_after=2020-01-01T00:00:00Z", ["10.0.0.1"]),
    ],
)
def test_assets_are_found_by(query: str, expected: list[str]):
    server = given_asset("10.0.0.1", kind="server", criticality="high", owner="ops")
    given_asset("10.0.0.2", kind="printer", hostname="print.paris.example")
    given_asset("10.0.0.3")
    record_host(server.address, seen_at=timezone.now(), open_ports=[OpenPort(22), OpenPort(23)])
    record_host(server.address, seen_at=timezone.now(), closed_ports=[23])
    found = addresses(client_of("viewer").get(f"{ASSETS}?{query}"))
    assert found == expected


@pytest.mark.parametrize(
    "query", ["kind=toaster", "open_port=99999", "seen_after=yesterday", "address=nowhere", "address=fe80::1%25eth0"]
)
def test_a_filter_value_that_makes_no_sense_is_refused(query: str):
    answer = client_of("viewer").get(f"{ASSETS}?{query}")
    assert answer.status_code == 400
    assert fields_of(answer) == {query.partition("=")[0]}


# --- Scan targets


def test_a_target_is_stored_in_one_spelling_with_its_author():
    user_client = client_of("security_admin")
    answer = user_client.post(TARGETS, {"network": "10.0.0.7", "ports": "443, 80-81,82"})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["network"], body["ports"], body["is_live"]) == ("10.0.0.7/32", "80-82,443", True)
    assert body["created_by"].startswith("user")


def test_targets_are_found_by_whether_they_are_enabled():
    ScanTarget.objects.all().delete()
    ScanTarget.objects.create(network="10.0.0.0/24")
    ScanTarget.objects.create(network="10.0.1.0/24", enabled=False)
    client = client_of("security_admin")
    found = [client.get(f"{TARGETS}?enabled={value}").json()["results"] for value in ("true", "false")]
    assert [[target["network"] for target in page] for page in found] == [["10.0.0.0/24"], ["10.0.1.0/24"]]
    assert fields_of(client.get(f"{TARGETS}?enabled=perhaps")) == {"enabled"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"network": "0.0.0.0/0"}, "network"),
        ({"network": "10.0.0.1/24"}, "network"),
        ({"network": "example.org"}, "network"),
        ({"network": "::/0"}, "network"),
        ({"network": "10.0.0.0/24", "ports": "0-70000"}, "ports"),
        ({"network": "10.0.0.0/24", "rate": 0}, "rate"),
        ({"network": "10.0.0.0/24", "owner": "x"}, "owner"),
        ({"network": "10.0.0.0/24", "created_by": "x"}, "created_by"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_by_name(body: dict, field: str):
    answer = client_of("security_admin").post(TARGETS, body)
    assert answer.status_code == 400
    assert fields_of(answer) == {field}


def test_a_target_is_not_live_once_it_is_disabled_or_expired():
    live = ScanTarget.objects.create(network="10.0.0.0/24", valid_until=timezone.now() + timedelta(hours=1))
    expired = ScanTarget.objects.create(network="10.0.1.0/24", valid_until=timezone.now() - timedelta(seconds=1))
    disabled = ScanTarget.objects.create(network="10.0.2.0/24", enabled=False)
    assert [target.is_live for target in (live, expired, disabled)] == [True, False, False]


def test_code_cannot_store_a_target_that_makes_no_sense():
    with pytest.raises(ValidationError, match="too large"):
        ScanTarget.objects.create(network="0.0.0.0/0")
    assert not ScanTarget.objects.filter(network="0.0.0.0/0").exists()


# --- What scans write


def test_a_scan_adds_a_machine_and_its_services():
    now = timezone.now()
    asset = record_host(
        "::ffff:10.0.0.5", seen_at=now, hostname="web.example", open_ports=[OpenPort(22, name="ssh", product="OpenSSH")]
    )
    asset.refresh_from_db()
    assert (asset.address, asset.hostname, asset.source) == ("10.0.0.5", "web.example", "scan")
    assert asset.first_seen == asset.last_seen == now
    service = asset.services.get()
    assert (service.port, service.name, service.product, service.state) == (22, "ssh", "OpenSSH", "open")


def test_a_scan_overwrites_nothing_people_entered_and_forgets_nothing_it_knew():
    asset = given_asset(hostname="ours.example", name="web", source="manual")
    first, second = timezone.now() - timedelta(days=1), timezone.now()
    record_host(asset.address, seen_at=first, open_ports=[OpenPort(22, name="ssh", product="OpenSSH")])
    record_host(asset.address, seen_at=second, hostname="theirs.example", open_ports=[OpenPort(22)])
    asset.refresh_from_db()
    assert (asset.hostname, asset.name, asset.source) == ("ours.example", "web", "manual")
    assert (asset.first_seen, asset.last_seen) == (first, second)
    service = asset.services.get()
    assert (service.product, service.first_seen, service.last_seen) == ("OpenSSH", first, second)


def test_only_a_refusal_closes_a_service():
    now = timezone.now()
    asset = record_host("10.0.0.5", seen_at=now, open_ports=[OpenPort(22), OpenPort(80)])
    record_host("10.0.0.5", seen_at=now, closed_ports=[80, 81])
    assert dict(asset.services.values_list("port", "state")) == {22: "open", 80: "closed"}


def test_a_person_does_not_undo_what_a_scan_wrote_meanwhile():
    asset = given_asset()
    change = AssetSerializer(Asset.objects.get(pk=asset.pk), data={"name": "web"}, partial=True)
    assert change.is_valid()
    now = timezone.now()
    record_host(asset.address, seen_at=now)
    change.save()
    asset.refresh_from_db()
    assert (asset.name, asset.last_seen) == ("web", now)


# --- Admin


@pytest.fixture
def admin_client() -> Client:
    return staff_client("security_admin")


def test_the_admin_pages_open_and_search(admin_client: Client):
    asset = record_host("10.0.0.5", seen_at=timezone.now(), open_ports=[OpenPort(22, name="ssh")])
    target = ScanTarget.objects.create(network="10.0.0.0/24")
    for page in (
        "asset/?q=10.0",
        f"asset/{asset.pk}/change/",
        "asset/add/",
        "service/?q=22",
        f"service/{Service.objects.get().pk}/change/",
        "scantarget/?q=10",
        f"scantarget/{target.pk}/change/",
    ):
        answer = admin_client.get(f"/admin/network/{page}")
        assert answer.status_code == 200, page


def test_a_target_entered_in_the_admin_is_checked_and_attributed(admin_client: Client):
    form = {"network": "0.0.0.0/0", "ports": "1-100", "rate": 10, "enabled": "on"}
    refused = admin_client.post("/admin/network/scantarget/add/", form)
    assert refused.status_code == 200
    assert "too large" in refused.content.decode()
    accepted = admin_client.post("/admin/network/scantarget/add/", {**form, "network": "10.9.0.0/16"})
    assert accepted.status_code == 302
    assert ScanTarget.objects.get(network="10.9.0.0/16").created_by is not None


def test_disabling_targets_in_bulk_is_seen_by_the_next_request(admin_client: Client):
    ScanTarget.objects.all().delete()
    target = ScanTarget.objects.create(network="10.0.0.0/24")
    reader = client_of("security_admin")
    assert reader.get(TARGETS).json()["results"][0]["is_live"] is True
    admin_client.post("/admin/network/scantarget/", {"action": "disable", "_selected_action": [target.pk]})
    assert reader.get(TARGETS).json()["results"][0]["is_live"] is False


def test_the_admin_writes_only_what_the_form_changed(admin_client: Client):
    asset = given_asset(name="old")
    form = {
        "address": "10.0.0.5", "hostname": "", "name": "new", "kind": "server", "owner": "", "criticality": "high",
        "exposure": "internal", "tags": '["web"]', "notes": "", "services-TOTAL_FORMS": 0, "services-INITIAL_FORMS": 0,
    }  # fmt: skip
    answer = admin_client.post(f"/admin/network/asset/{asset.pk}/change/", form)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    asset.refresh_from_db()
    assert (asset.name, asset.kind, asset.tags) == ("new", "server", ["web"])
