from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from securenet.security.scanner.refusal import Refusal, TargetRefused
from securenet.security.scanner.targets import (
    AddressTarget,
    BlockTarget,
    HostTarget,
    addresses_of,
    parse_target,
    system_resolver,
)


def never_asked(name: str) -> list[str]:
    raise AssertionError(f"{name} was looked up")


def refusal_of(text: str) -> TargetRefused:
    with pytest.raises(TargetRefused) as caught:
        parse_target(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        (" 10.1.2.3\t", "10.1.2.3"),
        ("10.1.2.3.", "10.1.2.3"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::1", "::1"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::FFFF:0a01:0203", "10.1.2.3"),
        ("64:ff9b::10.1.2.3", "10.1.2.3"),
        ("0:0:0:0:0:ffff:a01:203", "10.1.2.3"),
    ],
)
def test_an_address_gets_its_one_spelling(text: str, address: str):
    target = parse_target(text)
    assert isinstance(target, AddressTarget)
    assert target.address == ip_address(address)


def test_a_block_is_read():
    assert parse_target("10.0.0.0/28") == BlockTarget("10.0.0.0/28", ip_network("10.0.0.0/28"))


def test_a_host_name_is_lower_case_without_trailing_dot():
    assert parse_target("Web_1.Example.COM.") == HostTarget("Web_1.Example.COM.", "web_1.example.com")


@pytest.mark.parametrize(
    ("spelling", "meaning"),
    [
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1.", "127.0.0.1"),
        ("010.0.0.1", "8.0.0.1"),
    ],
)
def test_an_unusual_ipv4_spelling_is_refused_and_its_plain_form_named(spelling: str, meaning: str):
    assert socket.inet_ntoa(socket.inet_aton(spelling.removesuffix("."))) == meaning  # so others would read it
    refused = refusal_of(spelling)
    assert refused.reason is Refusal.INVALID
    assert meaning in refused.detail


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("256.1.1.1", "four plain decimal numbers"),
        ("1.2.3.4.5", "four plain decimal numbers"),
        ("host.0x1", "four plain decimal numbers"),
        ("10.0.0.5/24", "10.0.0.0/24"),
        ("10.0.0.0/255.255.255.0", "prefix length"),
        ("10.0.0.0/33", "prefix length"),
        ("10.0.0.0/024", "prefix length"),
        ("http://10.0.0.1/", "no URL"),
        ("10.0.0.1:80", "ports are given separately"),
        ("[::1]", "host name in ASCII"),
        ("user@host", "host name in ASCII"),
        ("１２７.0.0.1", "host name in ASCII"),
        ("127。0。0。1", "host name in ASCII"),
        ("bücher.example", "xn--"),
        ("host name", "host name in ASCII"),
        ("host\x00.example", "host name in ASCII"),
        ("10.0.0.1-20", "four plain decimal numbers"),
        ("-host.example", "valid host name"),
        ("a..b", "valid host name"),
        ("a" * 64 + ".example", "valid host name"),
        ("a." * 127 + "example", "valid host name"),
        ("", "write an IP address"),
        (".", "valid host name"),
    ],
)
def test_what_is_no_target_is_refused_with_a_hint(text: str, hint: str):
    refused = refusal_of(text)
    assert refused.reason is Refusal.INVALID
    assert hint in str(refused)


def test_zone_identifiers_are_refused():
    assert refusal_of("fe80::1%eth0").reason is Refusal.LINK_LOCAL
    assert refusal_of("::1%lo").reason is Refusal.LINK_LOCAL


@pytest.mark.parametrize(
    "text",
    [
        "2002:7f00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "2001:db8::5efe:127.0.0.1",
        "2001:db8::200:5efe:127.0.0.1",
    ],
)
def test_tunnelled_ipv4_is_refused(text: str):
    assert refusal_of(text).reason is Refusal.TRANSITION


def test_a_refusal_shows_hostile_text_escaped_and_short():
    shown = str(refusal_of("\x1b[31mred\r\n" + "x" * 1000))
    assert shown.isprintable()
    assert len(shown) < 400


def test_only_host_names_are_looked_up():
    for text in ("10.0.0.1", "10.0.0.0/30", "::1"):
        assert list(addresses_of(parse_target(text), never_asked))


def test_a_block_leaves_out_network_and_broadcast_address():
    assert [str(a) for a in addresses_of(parse_target("10.0.0.0/30"))] == ["10.0.0.1", "10.0.0.2"]
    assert [str(a) for a in addresses_of(parse_target("10.0.0.4/32"))] == ["10.0.0.4"]
    assert len(list(addresses_of(parse_target("10.0.0.4/31")))) == 2
    assert len(list(addresses_of(parse_target("2001:db8::/126")))) == 4


def test_every_answer_for_a_name_counts_and_is_canonical():
    answers = ["10.0.0.1", "::ffff:10.0.0.2", "64:ff9b::10.0.0.3", "10.0.0.1", "2001:db8::7"]
    found = list(addresses_of(parse_target("host.example"), lambda name: answers))
    assert [str(a) for a in found] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::7"]


@pytest.mark.parametrize("answers", [[], ["not an address"], ["10.0.0.1", "0177.0.0.1"]])
def test_a_name_without_plain_addresses_is_unresolved(answers: list[str]):
    with pytest.raises(TargetRefused) as caught:
        list(addresses_of(parse_target("host.example"), lambda name: answers))
    assert caught.value.reason is Refusal.UNRESOLVED


def test_a_name_the_resolver_does_not_know_is_unresolved():
    def unknown(name: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(TargetRefused, match="Name or service not known"):
        list(addresses_of(parse_target("host.example"), unknown))


def test_the_system_resolver_knows_localhost():
    assert "127.0.0.1" in system_resolver("localhost")
