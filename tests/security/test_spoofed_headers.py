"""Addresses, hosts and ids that clients claim in headers: nothing is decided by them, nothing is forged with them."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from copy import deepcopy
from itertools import product

import pytest
from django.conf import settings
from django.test import Client, override_settings

from perf.models import AccessRule
from tests.integration.helpers import given_limit
from tests.integration.people import client_of

PATH = "/api/nothing-is-here"
PROXY = "10.9.9.9"
BEHIND_A_PROXY = override_settings(PERF_TRUSTED_PROXIES=["10.0.0.0/8"])
CLAIMS = (
    "X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Remote-Addr",
    "X-Cluster-Client-IP", "Client-IP", "X-Originating-IP", "X-Forwarded", "Via",
)  # fmt: skip


def claim(header: str, address: str) -> dict[str, str]:
    return {header: f"for={address}" if header == "Forwarded" else address}


def status(path: str = PATH, peer: str = "203.0.113.9", **headers: str) -> int:
    return int(Client().get(path, REMOTE_ADDR=peer, headers=headers).status_code)


def test_a_client_is_counted_by_its_connection_whatever_it_claims():
    given_limit(limit=2, count_by="ip")
    for number, header in enumerate(CLAIMS):
        peer = f"203.0.113.{number}"
        answers = [status(peer=peer, **claim(header, f"198.51.100.{n}")) for n in range(3)]
        assert answers == [404, 404, 429], header


@BEHIND_A_PROXY
def test_behind_a_proxy_a_client_is_counted_by_what_the_proxy_wrote():
    """The client's claim stands to the left of the proxy's entry, or in a header that the proxy does not write."""
    given_limit(limit=2, count_by="ip")
    for number, header in enumerate(CLAIMS):
        answers = [_by_proxy(claim(header, f"198.51.100.{n}"), f"203.0.113.{number}") for n in range(3)]
        assert answers == [404, 404, 429], header


def _by_proxy(claimed: dict[str, str], client: str, path: str = PATH) -> int:
    """The status that a client gets through a proxy, which adds the client's address to ``X-Forwarded-For``."""
    before = claimed.get("X-Forwarded-For", "")
    chain = f"{before}, {client}" if before else client
    return status(path, PROXY, **{**claimed, "X-Forwarded-For": chain})


def test_nobody_claims_an_exemption_or_escapes_a_block():
    given_limit(limit=1, count_by="ip")
    AccessRule.objects.create(name="ours", network="192.0.2.0/24", effect="exempt", reason="ours")
    AccessRule.objects.create(name="theirs", network="203.0.113.66/32", effect="blocked", reason="theirs")
    for number, header in enumerate(CLAIMS):
        ours = claim(header, "192.0.2.1")
        assert [status(peer=f"203.0.113.{number}", **ours) for _ in range(2)] == [404, 429], header
        assert status(peer="203.0.113.66", **ours) == 403, header
        with BEHIND_A_PROXY:
            assert _by_proxy(ours, "203.0.113.66") == 403, header


def test_metrics_are_not_opened_by_a_claim_to_be_near():
    for header, near in product(CLAIMS, ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.1, 127.0.0.1")):
        assert status("/metrics", **claim(header, near)) == 403
        with BEHIND_A_PROXY:
            assert _by_proxy(claim(header, near), "203.0.113.9", "/metrics") == 403


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "Forwarded"])
def test_no_header_but_host_names_this_server(header: str):
    page = client_of("viewer").get("/api/security/findings", headers={header: "host=evil.example"})
    assert b"evil.example" not in page.content
    assert "evil.example" not in str(page.headers)
    led = Client().get("/findings", headers={header: "evil.example"})
    assert led["Location"] == "/login?next=/findings"


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override"])
def test_no_header_leads_to_another_page_or_method(header: str):
    client = client_of("viewer")
    for value in ("/api/network/targets", "/admin/", "DELETE", "POST"):
        answer = client.get("/api/network/assets", headers={header: value})
        assert (answer.status_code, answer.json()) == (200, {"results": [], "next": None})


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver@evil.example", "", "a b", "\0"]
)
def test_a_foreign_host_is_refused_before_anything_is_computed(host: str):
    answer = Client(raise_request_exception=False).get("/login", headers={"Host": host})
    assert (answer.status_code, b"evil" in answer.content) == (400, False)


# --- Log lines


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged in the format of production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    configure, configured = logging.config.DictConfigurator({"version": 1}), deepcopy(settings.LOGGING)
    handler.setFormatter(configure.configure_formatter(configured["formatters"]["json"]))
    handler.addFilter(configure.configure_filter(configured["filters"]["context"]))
    root, requests = logging.getLogger(), logging.getLogger("django.request")
    level = requests.level
    root.addHandler(handler)
    requests.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    requests.setLevel(level)


FORGED = '{"level": "CRITICAL", "message": "forged"}'
INJECTIONS = [
    f"id-12345\n{FORGED}",
    f"id-12345\r\n{FORGED}",
    f'x", "message": "forged{FORGED}',
    "\x1b[2Jid-12345678",
    "id\0" * 20,
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_request_forges_a_log_line(text: str, lines: io.StringIO):
    client = Client(raise_request_exception=False)
    environ = {"HTTP_X_REQUEST_ID": text, "HTTP_USER_AGENT": text, "HTTP_REFERER": text}
    client.get("/api/nothing", QUERY_STRING=text, **environ)
    client.post(
        "/api/auth/token", json.dumps({"username": text, "password": text}), content_type="application/json", **environ
    )
    client.post("/login", {"username": text, "password": "x"}, **environ)
    written = lines.getvalue()
    assert written, "refusals are logged at this level"
    found = [json.loads(line) for line in written.splitlines()]
    assert "CRITICAL" not in {line["level"] for line in found}
    assert all(line["request_id"] != text for line in found)
    assert not set(written) & set("\x1b\0\r")
