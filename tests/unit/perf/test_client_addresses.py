"""Whose address counts: the peer's, unless a trusted proxy says otherwise."""

from __future__ import annotations

import pytest
from django.test import RequestFactory, override_settings

from perf.gate.callers import client_address, parse_address

PROXY = {"PERF_TRUSTED_PROXIES": ["10.0.0.0/8", "2001:db8:ff::/48"]}


def address(peer: str, **headers: str) -> str:
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    return str(client_address(request))


@pytest.mark.parametrize("header", [{"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}])
def test_without_trusted_proxies_claims_are_ignored(header: dict[str, str]) -> None:
    assert address("198.51.100.9", **header) == "198.51.100.9"


@override_settings(**PROXY)
@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("10.1.1.1", {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        ("10.1.1.1", {"X-Forwarded-For": "6.6.6.6, 192.0.2.1"}, "192.0.2.1"),
        ("10.1.1.1", {"X-Forwarded-For": "6.6.6.6, 192.0.2.1, 10.2.2.2"}, "192.0.2.1"),
        ("10.1.1.1", {"X-Forwarded-For": "192.0.2.1:5678"}, "192.0.2.1"),
        ("10.1.1.1", {"X-Forwarded-For": "[2001:db8::5]:80"}, "2001:db8::5"),
        ("10.1.1.1", {"X-Forwarded-For": "::ffff:192.0.2.1"}, "192.0.2.1"),
        ("10.1.1.1", {"X-Forwarded-For": "not-an-ip"}, "10.1.1.1"),
        ("10.1.1.1", {"X-Forwarded-For": "192.0.2.1, nonsense, 10.2.2.2"}, "10.2.2.2"),
        ("10.1.1.1", {"Forwarded": 'for="[2001:db8::7]:4711";proto=https, for=10.9.9.9'}, "2001:db8::7"),
        ("10.1.1.1", {"Forwarded": "for=unknown"}, "10.1.1.1"),
        ("192.0.2.50", {"X-Forwarded-For": "6.6.6.6"}, "192.0.2.50"),
        ("2001:db8:ff::1", {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        ("10.1.1.1", {}, "10.1.1.1"),
    ],
)
def test_behind_trusted_proxies_the_chain_is_read_from_the_right(
    peer: str, headers: dict[str, str], expected: str
) -> None:
    assert address(peer, **headers) == expected


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "fe80::1::2", "localhost", "1.2.3.4:5:6"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


def test_zones_are_left_out() -> None:
    assert str(parse_address("fe80::1%eth0")) == "fe80::1"
